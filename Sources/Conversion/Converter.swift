import Architectures
import ByteIO
import Executor
import FormatKit
import JSON
import ModelIR

/// Converts a model: no proof, no output.
public func convert(_ path: String, to outputPath: String, options: ConversionOptions = ConversionOptions()) throws -> ConversionReport {
    let place = try OutputPlace(outputPath, to: options.to)
    let source = try ModelFile.open(path, configuration: options.configuration, choices: options.choices)
    try source.checkBeforeReading()
    if options.isStrict, let model = source.model, !model.report.unknownKeys.isEmpty {
        throw UnsupportedError("configuration keys that Ingot doesn't know (--strict)", items: model.report.unknownKeys)
    }
    let content = try OutputContent(
        source, place, options, sidecars: Sidecars(beside: path, isWanted: place.isDirectory || place.kind == .ingot))
    // A source that is also the output is read to its end before the output is put in place.
    let output: any PendingOutput =
        if place.isDirectory {
            try PendingDirectory(place, options)
        } else if place.kind == .kerasShards {
            try PendingKerasShards(content.lowered.checkpoint, place, options)
        } else {
            try PendingFile(place, options, besides: content.companions)
        }
    try output.write(content.lowered.checkpoint)

    var report = ConversionReport(
        sourcePath: source.path, outputPath: outputPath, outputKind: place.kind, sourceByteCount: source.byteCount,
        outputByteCount: try output.byteCount(), notes: source.notes + content.notes, verification: nil,
        fingerprint: try content.lowered.checkpoint.fingerprint?())
    if options.verifies {
        let (verification, fingerprint) = try content.verify(output.reopened(content.lowered.checkpoint))
        report.verification = verification
        report.fingerprint = fingerprint
        guard verification.passes else { throw VerificationFailure(report: report) }
    }
    try output.commit()
    return report
}

/// What is to be written, with everything that the user must know about it.
private struct OutputContent {
    let source: ModelFile
    let place: OutputPlace
    let options: ConversionOptions
    private(set) var lowered: Lowered
    private(set) var notes: [String] = []
    /// Documents that go beside a single file, since those who open it look for them there.
    private(set) var companions: [Checkpoint.Document] = []

    init(_ source: ModelFile, _ place: OutputPlace, _ options: ConversionOptions, sidecars: Sidecars) throws {
        self.source = source
        self.place = place
        self.options = options
        lowered = try LoweringChoice(source: source, place: place, naming: options.naming).lowered()
        if lowered.checkpoint.format != "lowered" {
            try dropOptimizerIfAsked()
            lowered.checkpoint.record = nil
        } else if options.optimizer == .keep, let report = source.model?.report, !report.optimizer.isEmpty {
            throw UnsupportedError("the optimizer's state can't be kept across Keras generations; drop it with --optimizer drop")
        }
        if let dtype = options.dtype { try lowered.round(to: dtype, parametersOf: source) }
        if place.kind == .tensorFlow, let entry = lowered.checkpoint.tensors.first(where: { $0.tensor.dtype == .bf16 }) {
            throw UnsupportedError("TensorFlow's classes can't read bf16 from HDF5 (\(entry.name)); add --dtype f32")
        }
        sidecars.add(to: &lowered.checkpoint, notes: &notes)
        if place.kind == .ingot {
            lowered.checkpoint.digests = source.checkpoint.digests
            try addRecord()
        } else if !place.isDirectory {
            settleDocuments()
        }
        if let format = Registry.format(named: place.kind.formatName) {
            // In a directory, documents are files of their own.
            let documents = place.isDirectory ? lowered.checkpoint.documents : []
            if place.isDirectory { lowered.checkpoint.documents = [] }
            let fitted = format.fitted(lowered.checkpoint)
            lowered.checkpoint = fitted.checkpoint
            lowered.checkpoint.documents += documents
            lowered.notes += fitted.notes
        }
        notes = lowered.notes + notes
    }

    /// A single file carries its configuration; what it has no place for is left out with a word.
    private mutating func settleDocuments() {
        guard place.kind != .keras, place.kind != .kerasWeights, place.kind != .kerasShards else { return }
        let documents = lowered.checkpoint.documents
        guard source.model?.architecture != KerasArchitecture.name else { return }
        if let config = documents.first(where: { $0.name == "config.json" }), let text = String(validating: config.bytes, as: UTF8.self) {
            lowered.checkpoint.attributes.removeAll { $0.name == "config.json" }
            lowered.checkpoint.attributes.append(Attribute("config.json", .text(text)))
            let (directory, name) = splitPath(place.path)
            if name == place.kind.weightsName, !fileExists("\(directory)/config.json") { companions.append(config) }
        }
        lowered.checkpoint.documents = []
        let others = documents.map(\.name).filter { $0 != "config.json" }
        if !others.isEmpty {
            notes.append("left out, since a \(place.kind.formatName) file has no place for them: \(others.joined(separator: ", "))")
        }
        for companion in companions { notes.append("\(companion.name) is written beside the weights, where transformers looks for it") }
    }

    private mutating func dropOptimizerIfAsked() throws {
        guard options.optimizer == .drop, let model = source.model else { return }
        let names = Set(model.report.optimizer)
        lowered.checkpoint.tensors.removeAll { names.contains($0.name) }
        lowered.checkpoint.groups.removeAll {
            $0.path == "optimizer_weights" || $0.path.hasPrefix("optimizer_weights/") || $0.path == "optimizer"
                || $0.path.hasPrefix("optimizer/")
        }
        lowered.checkpoint.attributes.removeAll { $0.name == "training_config" }
        lowered.notes.append("optimizer state and training_config dropped (\(names.count) tensors)")
    }

    /// What an .ingot file says of the model in it.
    private mutating func addRecord() throws {
        let checkpoint = lowered.checkpoint
        let model = try ModelFile.lift(checkpoint)
        let threadCount = options.threadCount
        lowered.checkpoint.fingerprint = { try Conversion.fingerprint(of: model, checkpoint, threadCount: threadCount) }
        var record = Record(
            architecture: model?.architecture ?? "", naming: model?.naming ?? "", irVersion: Graph.textVersion, graphText: "",
            fingerprint: "", proof: nil,
            provenance: [
                .init("writer", "ingot \(ingotVersion)"),
                .init("source", checkpoint.format == "lowered" ? "\(source.format.name), rewritten" : source.format.name),
            ])
        defer { lowered.checkpoint.record = record }
        guard let model else {
            notes.append("no architecture recognises the file: stored without graph and proof")
            return
        }
        do {
            let graph = try model.graph()
            record.graphText = graph.text
            if options.verifies {
                record.proof = try Proof.make(graph: graph, parameters: parameterTensors(model), probe: Probe(for: model, graph: graph))
            } else {
                notes.append("stored without a proof of its own (--no-verify): ingot verify will need the original beside it")
            }
        } catch let error as UnsupportedError {
            notes.append("stored without graph and proof: \(error.description)")
        }
    }

    /// Holds what was written, read back, against the source.
    func verify(_ checkpoint: Checkpoint) throws -> (result: Verification, fingerprint: String) {
        var verification = Verification()
        let writtenModel = try ModelFile.lift(checkpoint)
        if let model = source.model, let writtenModel {
            verification = try Verification.between(model, writtenModel, rounding: options.dtype, options: options.verification)
        } else {
            verification.forwardObstacle = "no architecture recognises the file"
            verification.hasConfiguration = false
        }
        // Whatever else the file holds must be there too, bit for bit.
        let written = Dictionary(checkpoint.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let isWhole = lowered.checkpoint.format != "lowered"
        let tied = Set(lowered.checkpoint.ties.flatMap { $0.names.dropFirst() })
        for entry in lowered.checkpoint.tensors where isWhole {
            guard let tensor = written[entry.name] else {
                if !tied.contains(entry.name) {
                    verification.differences.append(.init(name: entry.name, message: "is missing from the written file"))
                }
                continue
            }
            if let message = try difference(entry.tensor, tensor) {
                verification.differences.append(.init(name: entry.name, message: message))
            }
        }
        if source.model == nil { verification.equalCount = lowered.checkpoint.tensors.count - verification.differences.count }
        return (verification, try Conversion.fingerprint(of: writtenModel, checkpoint, threadCount: options.threadCount))
    }
}

/// Of this build; written to files and shown by `--version`.
public let ingotVersion = "0.1.0"
