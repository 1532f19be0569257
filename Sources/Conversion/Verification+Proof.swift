import Architectures
import ByteIO
import Executor
import FormatKit
import ModelIR

extension Verification {
    /// Runs the proof that a file carries: weights against the fingerprint, graph against a fresh lift, forward pass against the sketches.
    /// - Throws: `UnsupportedError` if the file carries none.
    public static func ofProof(in file: ModelFile, options: VerificationOptions = VerificationOptions()) throws -> Verification {
        guard let record = file.checkpoint.record else {
            throw UnsupportedError("\(file.path) carries no proof; name a second model, or --expect outputs, to verify it against")
        }
        var result = Verification()
        result.isProofOnly = true
        let fingerprint = try file.fingerprint()
        if fingerprint != record.fingerprint {
            result.proofProblems.append("the weights have the fingerprint \(fingerprint), the file says \(record.fingerprint)")
        }
        guard let model = file.model, let proof = record.proof else {
            throw UnsupportedError(
                "\(file.path) carries no forward pass to verify: it was written with --no-verify, or the model could not be run then")
        }
        let graph = try model.graph()
        if record.irVersion == Graph.textVersion && graph.text != record.graphText {
            result.proofProblems.append("the stored graph is not the one that follows from the configuration")
        }
        let tolerance = Tolerance(
            absolute: max(options.tolerance.absolute, proof.absoluteTolerance),
            relative: max(options.tolerance.relative, proof.relativeTolerance))
        let inputs = proof.inputTensors
        let run = try Executor.run(
            graph, parameters: parameterTensors(model), inputs: inputs, options: options.execution(of: graph, inputs: inputs),
            capturing: .layerOutputs)
        let fresh =
            try run.captured.map { try Proof.Sketch($0.name, $0.tensor, isOutput: false, seed: proof.seed) }
            + run.outputs.map { try Proof.Sketch($0.name, $0.tensor, isOutput: true, seed: proof.seed) }
        guard fresh.count == proof.sketches.count else {
            result.proofProblems.append("the model has \(fresh.count) layers and outputs, the proof \(proof.sketches.count)")
            return result
        }
        for (now, then) in zip(fresh, proof.sketches) {
            let (agrees, difference) = then.compared(with: now, tolerance: tolerance)
            let isSame = now.name == then.name && now.isOutput == then.isOutput
            result.sketches.append(
                SketchComparison(
                    name: then.name, isOutput: then.isOutput, agrees: agrees && isSame, difference: isSame ? difference : .infinity))
        }
        return result
    }

    /// Runs a model on inputs and holds its outputs against expected ones, by name; a single output goes by any name.
    public static func of(
        _ model: any Model, inputs: [String: Tensor], expecting expected: [(name: String, tensor: Tensor)], options: VerificationOptions
    ) throws -> Verification {
        var result = Verification()
        result.isProofOnly = true
        let graph = try model.graph()
        let run = try Executor.run(
            graph, parameters: parameterTensors(model), inputs: inputs, options: options.execution(of: graph, inputs: inputs))
        for (name, wanted) in expected {
            guard let actual = run[name] ?? (expected.count == 1 && run.outputs.count == 1 ? run.outputs[0].tensor : nil) else {
                throw UnsupportedError("the model has no output '\(name)'", items: run.outputs.map(\.name))
            }
            let comparison = try compare(actual, wanted, tolerance: options.tolerance)
            result.outputDrift = max(result.outputDrift, comparison.maximumDifference)
            result.layers.append(LayerComparison(name: name, isOutput: true, comparison: comparison))
        }
        guard !result.layers.isEmpty else { throw UnsupportedError("nothing is expected: the file holds no arrays") }
        return result
    }
}
