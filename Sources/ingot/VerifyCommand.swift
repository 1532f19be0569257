import Architectures
import ArgumentParser
import ByteIO
import Conversion
import Executor
import JSON
import ModelIR

struct VerifyCommand: ParsableCommand, ModelCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Proves that a file still computes what it did, or that two files compute the same.",
        discussion: """
            One .ingot file: its own proof is run again. Two files: parameters, configuration, then a forward pass layer by layer; the first layer
            that diverges is named. --expect holds a model's outputs against arrays from elsewhere.

            Examples:
              ingot verify model.ingot
              ingot verify model.h5 model.keras
              ingot verify model.h5 --inputs in.npz --expect out.npz
              ingot verify model.h5 --probe-out probe.npz
            """)

    @Argument(help: "A model file, or a directory with one.")
    var model: String

    @Argument(help: "The model that it ought to equal.")
    var other: String?

    @Option(help: ArgumentHelp("Inputs instead of the seeded probe, .npz or .npy.", valueName: "file"))
    var inputs: String?

    @Option(help: ArgumentHelp("Outputs that the model must give, .npz or .npy.", valueName: "file"))
    var expect: String?

    @Option(help: ArgumentHelp("Write the probe's inputs and the outputs, to check in another framework.", valueName: "file"))
    var probeOut: String?

    @Option(help: "reference (f64; the default but for models that it would take minutes for) or fast (f32).")
    var backend: Backend?

    @Flag(help: "Replace an existing --probe-out file.")
    var force = false

    @OptionGroup var tolerance: ToleranceOptions
    @OptionGroup var modelOptions: ModelOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if other != nil && expect != nil { throw ValidationError("--expect takes the place of a second model") }
        if expect != nil && inputs == nil { throw ValidationError("--expect needs the --inputs that its outputs belong to") }
    }

    func run() throws {
        let file = try ModelFile.open(model, configuration: modelOptions.config, choices: modelOptions.choices)
        for note in file.notes { Terminal.note(note, common) }
        try file.checkStorage()
        var options = VerificationOptions(tolerance: tolerance.tolerance, backend: backend)
        if let inputs {
            let model = try file.requireModel()
            let matched = try matchedInputs(Arrays.read(inputs), to: model, graph: model.graph())
            for line in matched.notes { Terminal.note(line, common) }
            options.inputs = matched.inputs
        }
        if let probeOut { try writeProbe(file, options: options, to: probeOut) }

        let verification: Verification
        if let other {
            let second = try ModelFile.open(other, configuration: modelOptions.config, choices: modelOptions.choices)
            for note in second.notes { Terminal.note(note, common) }
            try second.checkStorage()
            verification = try Verification.between(file.requireModel(), second.requireModel(), options: options)
        } else if let expect, let inputs = options.inputs {
            verification = try Verification.of(file.requireModel(), inputs: inputs, expecting: Arrays.read(expect), options: options)
        } else if probeOut != nil && file.checkpoint.record == nil {
            return
        } else {
            verification = try Verification.ofProof(in: file, options: options)
        }
        if common.json {
            Terminal.output(verification.json)
        } else {
            VerificationText(verification).lines(isBrief: false).forEach(Terminal.output)
            Terminal.output(verification.passes ? "verified" : "NOT verified")
        }
        guard verification.passes else { throw CommandFailure.difference() }
    }

    /// Inputs as `input:NAME`, outputs as `output:NAME`.
    private func writeProbe(_ file: ModelFile, options: VerificationOptions, to path: String) throws {
        let model = try file.requireModel()
        let graph = try model.graph()
        let inputs = try options.inputs ?? Probe(for: model, graph: graph).inputs
        let parameters = Dictionary(model.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let result = try Executor.run(graph, parameters: parameters, inputs: inputs, options: options.execution(of: graph, inputs: inputs))
        var arrays = graph.inputs.compactMap { input in inputs[input.name].map { (name: "input:\(input.name)", tensor: $0) } }
        arrays += result.outputs.map { (name: "output:\($0.name)", tensor: $0.tensor) }
        try Arrays.write(arrays, to: path, replacesExisting: force)
        Terminal.note("probe written to \(path)", common)
    }
}
