import Architectures
import ByteIO
import Executor
import FormatKit
import ModelIR

public struct ConversionOptions: Sendable {
    public enum Naming: String, CaseIterable, Sendable {
        /// What the target's users expect: Keras 2 in .h5, Keras 3 in .keras, the source's own in .ingot.
        case standard = "default"
        /// The source's names, attributes and bytes.
        case preserve
        case keras2, keras3
    }

    public enum OptimizerPolicy: String, CaseIterable, Sendable {
        case keep, drop
    }

    /// One of `OutputKind`'s names; nil: guessed from the output's name.
    public var to: String?
    public var naming: Naming
    /// nil: kept within a dialect and to .ingot, dropped across dialects.
    public var optimizer: OptimizerPolicy?
    public var level: Int?
    /// Asks formats that compress only on demand (HDF5) to do so.
    public var compresses = false
    public var threadCount: Int
    public var verifies: Bool
    public var replacesExisting: Bool
    public var isStrict: Bool
    public var configuration: String?
    public var verification: VerificationOptions

    public init(
        to: String? = nil, naming: Naming = .standard, optimizer: OptimizerPolicy? = nil, level: Int? = nil,
        threadCount: Int = ExecutionOptions.processorCount, verifies: Bool = true, replacesExisting: Bool = false, isStrict: Bool = false,
        configuration: String? = nil, verification: VerificationOptions = VerificationOptions()
    ) {
        self.to = to
        self.naming = naming
        self.optimizer = optimizer
        self.level = level
        self.threadCount = threadCount
        self.verifies = verifies
        self.replacesExisting = replacesExisting
        self.isStrict = isStrict
        self.configuration = configuration
        self.verification = verification
    }
}

/// What an output file is, by its name or by `--to`.
public enum OutputKind: String, CaseIterable, Sendable {
    case ingot
    case hdf5
    case keras
    case kerasWeights = "keras-weights"
    case safetensors

    public init?(fileName: String) {
        let name = fileName.lowercased()
        if name.hasSuffix(".ingot") {
            self = .ingot
        } else if name.hasSuffix(".keras") {
            self = .keras
        } else if name.hasSuffix(".safetensors") {
            self = .safetensors
        } else if name.hasSuffix(".weights.h5") {
            self = .kerasWeights
        } else if name.hasSuffix(".h5") || name.hasSuffix(".hdf5") {
            self = .hdf5
        } else {
            return nil
        }
    }
}

/// What a conversion did.
public struct ConversionReport: Sendable {
    public var sourcePath: String
    public var outputPath: String
    public var outputKind: OutputKind
    public var sourceByteCount: Int
    public var outputByteCount: Int
    public var notes: [String]
    /// nil with `--no-verify`.
    public var verification: Verification?
    public var fingerprint: String
}

/// A conversion whose proof failed: nothing was written (exit code 1).
public struct VerificationFailure: Error, Sendable {
    public let report: ConversionReport
}

/// Converts a model file: no proof, no output file.
public func convert(_ path: String, to outputPath: String, options: ConversionOptions = ConversionOptions()) throws -> ConversionReport {
    guard let kind = options.to.map({ OutputKind(rawValue: $0) }) ?? OutputKind(fileName: outputPath) else {
        throw UnsupportedError(
            "can't tell a format from the name \(splitPath(outputPath).name); --to takes one of "
                + OutputKind.allCases.map(\.rawValue).joined(separator: ", "))
    }
    let source = try ModelFile.open(path, configuration: options.configuration)
    try source.checkBeforeReading()
    if options.isStrict, let model = source.model, !model.report.unknownKeys.isEmpty {
        throw UnsupportedError("configuration keys that Ingot doesn't know (--strict)", items: model.report.unknownKeys)
    }
    // A source with the same inode as the output is read to its end before the output is put in place.
    let output = try OutputFile(target: outputPath, replacesExisting: options.replacesExisting)
    var conversion = ConversionTask(source: source, kind: kind, options: options)
    let lowered = try conversion.lowered()
    let format = conversion.format
    try format.write(
        lowered.checkpoint, to: output,
        options: WriteOptions(level: options.level, threadCount: options.threadCount, compresses: options.compresses))

    var report = ConversionReport(
        sourcePath: source.path, outputPath: outputPath, outputKind: kind, sourceByteCount: source.region.count,
        outputByteCount: Int(try output.size()), notes: source.notes + lowered.notes + conversion.notes, verification: nil,
        fingerprint: conversion.fingerprint ?? "")
    if options.verifies {
        let verification = try conversion.verify(output, lowered: lowered)
        report.verification = verification.result
        report.fingerprint = verification.fingerprint
        guard verification.result.passes else { throw VerificationFailure(report: report) }
    }
    try output.commit()
    return report
}

/// One conversion on its way.
private struct ConversionTask {
    let source: ModelFile
    let kind: OutputKind
    let options: ConversionOptions
    var notes: [String] = []
    var fingerprint: String?

    init(source: ModelFile, kind: OutputKind, options: ConversionOptions) {
        self.source = source
        self.kind = kind
        self.options = options
    }

    var format: any ModelFormat.Type {
        let name =
            switch kind {
            case .ingot: "ingot"
            case .hdf5, .kerasWeights: "hdf5"
            case .keras: "keras"
            case .safetensors: "safetensors"
            }
        return Registry.format(named: name) ?? source.format
    }

    /// The checkpoint to write.
    mutating func lowered() throws -> Lowered {
        var lowered = try chosen()
        if lowered.checkpoint.format != "lowered" {
            try dropOptimizerIfAsked(&lowered)
            lowered.checkpoint.record = nil
        } else if options.optimizer == .keep, let report = source.model?.report, !report.optimizer.isEmpty {
            throw UnsupportedError("the optimizer's state can't be kept across Keras generations; drop it with --optimizer drop")
        }
        fingerprint = try source.fingerprint()
        if kind == .ingot { lowered.checkpoint.record = try record(of: lowered.checkpoint) }
        let fitted = format.fitted(lowered.checkpoint)
        lowered.checkpoint = fitted.checkpoint
        lowered.notes += fitted.notes
        return lowered
    }

    private func chosen() throws -> Lowered {
        let verbatim = Lowered(checkpoint: source.checkpoint)
        guard let model = source.model else {
            guard kind == .ingot || kind == .hdf5 || kind == .safetensors else {
                _ = try source.requireModel()
                return verbatim
            }
            guard options.naming == .standard || options.naming == .preserve else { _ = try source.requireModel(); return verbatim }
            return verbatim
        }
        let convention = model.naming
        switch (kind, options.naming) {
        case (.ingot, .standard), (.ingot, .preserve): return verbatim
        case (.hdf5, .preserve): return verbatim
        case (.hdf5, .standard), (.hdf5, .keras2):
            if convention == "keras2-h5" { return model.restated() }
            return try model.lower(to: .keras2)
        case (.keras, .standard), (.keras, .keras3): return convention == "keras3-archive" ? verbatim : try model.lower(to: .keras3)
        case (.keras, .preserve):
            guard convention.hasSuffix("-archive") else {
                throw UnsupportedError("a .keras file can't keep the names of a \(convention) source; leave --naming out")
            }
            return verbatim
        case (.kerasWeights, .standard), (.kerasWeights, .keras3): return try model.lower(to: .keras3Weights)
        case (.ingot, .keras2): return convention == "keras2-h5" ? verbatim : try model.lower(to: .keras2)
        case (.ingot, .keras3): return convention == "keras3-archive" ? verbatim : try model.lower(to: .keras3)
        case (.safetensors, .preserve): return verbatim
        case (.safetensors, .standard):
            throw UnsupportedError("a \(convention) model can be written to safetensors in the source's names only, with --naming preserve")
        case (.safetensors, .keras2), (.safetensors, .keras3), (.hdf5, .keras3), (.keras, .keras2), (.kerasWeights, .preserve),
            (.kerasWeights, .keras2):
            throw UnsupportedError("--naming \(options.naming.rawValue) can't be written to \(kind.rawValue)")
        }
    }

    private func dropOptimizerIfAsked(_ lowered: inout Lowered) throws {
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

    private mutating func record(of checkpoint: Checkpoint) throws -> Record {
        let model = try ModelFile.lift(checkpoint)
        var record = Record(
            architecture: model?.architecture ?? "", naming: model?.naming ?? "", irVersion: Graph.textVersion, graphText: "",
            fingerprint: "", proof: nil,
            provenance: [
                .init("writer", "ingot \(ingotVersion)"),
                .init("source", checkpoint.format == "lowered" ? "\(source.format.name), rewritten" : source.format.name),
            ])
        record.fingerprint = try contentFingerprint(model, checkpoint)
        guard let model else {
            notes.append("no architecture recognises the file: stored without graph and proof")
            return record
        }
        do {
            let graph = try model.graph()
            record.graphText = graph.text
            record.proof = try Proof.make(graph: graph, parameters: parameterTensors(model), probe: Probe(for: graph))
        } catch let error as UnsupportedError {
            notes.append("stored without graph and proof: \(error.description)")
        }
        return record
    }

    /// Reads the written file back and holds it against the source.
    func verify(_ output: OutputFile, lowered: Lowered) throws -> (result: Verification, fingerprint: String) {
        let region = try ByteRegion(path: output.temporaryPath)
        guard format.matches(region) else { throw FormatError(format.name, "unreadable-output", path: output.targetPath) }
        var checkpoint: Checkpoint
        do {
            checkpoint = try format.open(region, limits: Limits())
        } catch let error as FormatError {
            throw error.inFile(output.targetPath)
        }
        // Bare weights are read with the configuration that they were made for.
        if kind == .kerasWeights { checkpoint.documents = lowered.checkpoint.documents }
        var verification = Verification()
        if let model = source.model, let written = try ModelFile.lift(checkpoint) {
            verification = try Verification.between(model, written, options: options.verification)
        } else {
            verification.forwardObstacle = "no architecture recognises the file"
            verification.hasConfiguration = false
        }
        // Whatever else the file holds must be there too, bit for bit.
        let written = Dictionary(checkpoint.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let isWhole = lowered.checkpoint.format != "lowered"
        for entry in lowered.checkpoint.tensors where isWhole {
            guard let tensor = written[entry.name] else {
                verification.differences.append(.init(name: entry.name, message: "is missing from the written file"))
                continue
            }
            if let message = try difference(entry.tensor, tensor) {
                verification.differences.append(.init(name: entry.name, message: message))
            }
        }
        if source.model == nil { verification.equalCount = lowered.checkpoint.tensors.count - verification.differences.count }
        return (verification, try contentFingerprint(try ModelFile.lift(checkpoint), checkpoint))
    }
}

private func contentFingerprint(_ model: (any Model)?, _ checkpoint: Checkpoint) throws -> String {
    if let model { return try fingerprint(of: model.parameters.map { ($0.name, $0.tensor) }) }
    return try fingerprint(of: checkpoint.tensors.map { ($0.name, $0.tensor) })
}

/// Of this build; written to files and shown by `--version`.
public let ingotVersion = "0.1.0"
