import Architectures
import Executor
import FormatKit
import Glibc
import ModelIR

extension Proof {
    /// Numbers kept per value.
    static let projectionCount = 16
    static let sampleCount = 64

    /// Runs the probe and sketches every layer and output.
    static func make(graph: Graph, parameters: [String: Tensor], probe: Probe, tolerance: Tolerance = Tolerance()) throws -> Proof {
        let options = try VerificationOptions().execution(of: graph, inputs: probe.inputs)
        let result = try Executor.run(
            graph, parameters: parameters, inputs: probe.inputs, options: options, capturing: .layerOutputs)
        var sketches: [Sketch] = []
        for layer in result.captured { sketches.append(try Sketch(layer.name, layer.tensor, isOutput: false, seed: probe.seed)) }
        for output in result.outputs { sketches.append(try Sketch(output.name, output.tensor, isOutput: true, seed: probe.seed)) }
        let inputs = try graph.inputs.map { input in
            let tensor = probe.inputs[input.name] ?? Tensor([Float](), shape: [0])
            return Input(name: input.name, dtype: tensor.dtype, shape: tensor.shape, values: try tensor.doubles())
        }
        return Proof(
            seed: probe.seed, absoluteTolerance: tolerance.absolute, relativeTolerance: tolerance.relative, inputs: inputs,
            sketches: sketches)
    }

    /// The probe's inputs as tensors.
    var inputTensors: [String: Tensor] {
        Dictionary(
            inputs.map { ($0.name, Tensor($0.values, dtype: $0.dtype, shape: $0.shape)) }, uniquingKeysWith: { first, _ in first })
    }
}

extension Proof.Sketch {
    init(_ name: String, _ tensor: Tensor, isOutput: Bool, seed: UInt64) throws {
        var signs = SeededGenerator(seed: seed &+ 1)
        var projections = [Double](repeating: 0, count: Proof.projectionCount)
        var (squares, maximum) = (0.0, 0.0)
        let count = tensor.count
        try tensor.forEachBlock { block in
            for value in block {
                // One draw gives the signs of an element in all projections.
                let bits = signs.next()
                for k in 0..<projections.count { projections[k] += bits >> UInt64(k) & 1 == 0 ? value : -value }
                squares += value * value
                maximum = max(maximum, abs(value))
            }
        }
        let scale = Double(max(count, 1)).squareRoot()
        var positions = SeededGenerator(seed: seed &+ 2)
        let samples =
            count == 0
            ? []
            : try (0..<Proof.sampleCount).flatMap { _ in try tensor.elements(from: positions.integer(in: 0..<count), shape: [1]).doubles() }
        self.init(
            name: name, isOutput: isOutput, shape: tensor.shape, rms: (squares / Double(max(count, 1))).squareRoot(),
            maximum: maximum, projections: projections.map { $0 / scale }, samples: samples)
    }

    /// Whether another sketch of the same value agrees, with the greatest difference of any number kept.
    func compared(with other: Proof.Sketch, tolerance: Tolerance) -> (agrees: Bool, difference: Double) {
        guard shape == other.shape, projections.count == other.projections.count, samples.count == other.samples.count else {
            return (false, .infinity)
        }
        let bound = tolerance.absolute + tolerance.relative * max(rms, other.rms)
        let pairs = [(rms, other.rms), (maximum, other.maximum)] + zip(projections, other.projections) + zip(samples, other.samples)
        let difference = pairs.reduce(0.0) { greatest, pair in
            if pair.0 == pair.1 { return greatest }
            let d = abs(pair.0 - pair.1)
            return d.isNaN ? .infinity : max(greatest, d)
        }
        // The maximum may be far above the root mean square; its own size sets its rounding.
        let slack = tolerance.relative * max(maximum, other.maximum)
        return (difference <= bound + slack, difference)
    }
}
