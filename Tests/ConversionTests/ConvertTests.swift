import ByteIO
import Conversion
import Executor
import FormatKit
import TestSupport
import Testing

/// Every model, converted to everything: the written file computes what the framework computed, or the conversion is refused with the reason.
@Suite struct ConvertTests {
    /// What a target can't express, with words of the reason.
    static let refused: [String: (kinds: Set<OutputKind>, words: String)] = {
        let toKeras3: Set<OutputKind> = [.keras, .kerasWeights, .kerasShards]
        return [
            "keras2_lstm_hard_sigmoid": (toKeras3, "also acts on the cell state"),
            "keras3_activation_dense": ([.hdf5], "Keras 2 has no activation 'glu'"),
            "keras3_activation_layers": ([.hdf5], "Keras 2 has no activation 'sparsemax'"),
            "keras3_lstm_hard_sigmoid": ([.hdf5], "also acts on the cell state"),
            "keras2_multi_head_attention_masks": (toKeras3, "takes the masks off its arguments"),
            "tfkeras_multi_head_attention_masks": (toKeras3, "takes the masks off its arguments"),
            "keras3_multi_head_attention_window": ([.hdf5], "MultiHeadAttention of Keras 2 has no sliding_window"),
            "keras3_multi_head_attention_masks": ([.hdf5], "takes the masks off its arguments"),
            "keras2_bidirectional_custom_backward": (toKeras3, "two directions of different widths"),
            "keras2_softmax_masks": (toKeras3, "a row of which a mask leaves nothing"),
            "keras3_softmax_masks": ([.hdf5], "a row of which a mask leaves nothing"),
            "keras2_time_distributed_inner_mask": (toKeras3, "gives its layer no mask of its own"),
            "keras2_conv1d_separable": (toKeras3, "no causal padding"),
            "keras3_rms_normalization": ([.hdf5], "Keras 2 has no class RMSNormalization"),
            // What the loaders of the frameworks refuse, found by trying.
            "keras2_names_odd": (toKeras3, "Keras 3 takes no '/' in names"),
            "keras3_names_odd": ([.hdf5], "TensorFlow takes only letters"),
            "keras3_bidirectional_two_layers": ([.hdf5], "directions with different numbers of weights"),
            "keras3_dtype_bfloat16": ([.hdf5], "Keras 2 can't load bf16"),
            "hdf5_keras_bf16_integers": ([.hdf5], "Keras 2 can't load bf16"),
            "hdf5_keras_bf16_native": ([.hdf5], "Keras 2 can't load bf16"),
        ]
    }()

    @Test(arguments: Known.supportedModels, OutputKind.allCases) func writtenFileComputesTheSame(model: FixtureModel, kind: OutputKind)
        throws
    {
        let scratch = try TemporaryDirectory()
        let path = scratch.file("written." + kind.fileExtension)
        if kind == .tensorFlow {
            let error = #expect(throws: UnsupportedError.self) { try convert(model.absolutePath, to: scratch.file("tf_model.h5")) }
            #expect(error?.description.contains("no counterpart among the models of transformers") == true)
            return
        }
        if let (kinds, words) = Self.refused[model.name], kinds.contains(kind) {
            let error = #expect(throws: UnsupportedError.self) { try model.convert(to: path) }
            #expect(error?.description.contains(words) == true, "\(error?.description ?? "it is written")")
            #expect(scratch.names == [])
            return
        }
        let report = try model.convert(to: path)
        #expect(report.verification?.passes == true)
        #expect(report.verification?.forwardObstacle == nil)
        var configuration: String?
        if kind == .kerasWeights || kind == .kerasShards {
            // Bare weights go with the configuration of the .keras file of the same model.
            _ = try model.convert(to: scratch.file("whole.keras"))
            let document = try #require(try ModelFile.open(scratch.file("whole.keras")).checkpoint.document("config.json"))
            configuration = try scratch.write(document.bytes, to: "configuration.json")
        }
        let written = try ModelFile.open(path, configuration: configuration)
        #expect(try written.fingerprint() == report.fingerprint)
        #expect(try model.differences(of: written.requireModel(), on: .reference) == [])
        guard kind == .ingot || kind == .safetensors else { return }
        #expect(try written.fingerprint() == model.open().fingerprint())
        guard kind == .ingot else { return }
        let proof = try Verification.ofProof(in: written)
        #expect(proof.passes)
        #expect(!proof.sketches.isEmpty)
        #expect(try CheckReport(written).problems.filter { $0.contains("fingerprint") } == [])
    }

    /// Without verification there is no forward pass at all: the file names its weights, but carries no proof.
    @Test(arguments: [1, 2]) func unverifiedFilesCarryAFingerprintOnly(threadCount: Int) throws {
        let model = try #require(Fixtures.models.first { $0.dialect == "keras2-h5" })
        let scratch = try TemporaryDirectory()
        var options = ConversionOptions.quick(configuration: model.configurationPath)
        options.verifies = false
        options.threadCount = threadCount
        let report = try convert(model.absolutePath, to: scratch.file("written.ingot"), options: options)
        #expect(report.notes.contains { $0.contains("--no-verify") })
        let written = try ModelFile.open(scratch.file("written.ingot"))
        let record = try #require(written.checkpoint.record)
        #expect(record.proof == nil && !record.graphText.isEmpty)
        #expect(try record.fingerprint == model.open().fingerprint() && report.fingerprint == record.fingerprint)
        #expect(try CheckReport(written).problems == [])
        #expect(throws: UnsupportedError.self) { try Verification.ofProof(in: written) }
    }

    /// What can't be run is stored whole, without a proof.
    @Test(arguments: Known.unsupportedModels) func unrunnableModelsAreStored(model: FixtureModel) throws {
        let scratch = try TemporaryDirectory()
        let report = try model.convert(to: scratch.file("written.ingot"))
        #expect(report.notes.contains { $0.hasPrefix("stored without graph and proof") })
        let written = try ModelFile.open(scratch.file("written.ingot"))
        #expect(written.checkpoint.record?.proof == nil)
        #expect(throws: UnsupportedError.self) { try Verification.ofProof(in: written) }
    }
}

/// Within one dialect nothing is lost: not a bit, a name, an order, or the kind of an attribute.
@Suite struct RoundTripTests {
    static let whole = Fixtures.models.filter { ["keras2-h5", "keras3-h5", "keras3-keras"].contains($0.dialect) }

    @Test(arguments: whole) func throughIngotAndBack(model: FixtureModel) throws {
        let scratch = try TemporaryDirectory()
        let kind: OutputKind = model.path.hasSuffix(".keras") ? .keras : .hdf5
        let (there, back) = (scratch.file("there.ingot"), scratch.file("back.\(kind.fileExtension)"))
        _ = try model.convert(to: there)
        _ = try convert(there, to: back, options: .quick(naming: .preserve))
        #expect(try differences(model.open().checkpoint, ModelFile.open(back).checkpoint) == [])

        // A second time, everything is the same, byte for byte.
        _ = try model.convert(to: scratch.file("again.ingot"))
        _ = try convert(there, to: scratch.file("again.\(kind.fileExtension)"), options: .quick(naming: .preserve))
        #expect(try ByteRegion(path: there).bytes() == ByteRegion(path: scratch.file("again.ingot")).bytes())
        #expect(try ByteRegion(path: back).bytes() == ByteRegion(path: scratch.file("again.\(kind.fileExtension)")).bytes())
    }

    static let trained = Fixtures.models.filter { $0.name.hasSuffix("_trained") && whole.contains($0) }

    @Test(arguments: trained) func optimizerIsKeptDroppedOrRefused(model: FixtureModel) throws {
        let scratch = try TemporaryDirectory()
        let source = try model.open()
        let optimizer = try #require(source.model).report.optimizer
        #expect(!optimizer.isEmpty)

        _ = try model.convert(to: scratch.file("kept.ingot"))
        let kept = try ModelFile.open(scratch.file("kept.ingot"))
        #expect(kept.model?.report.optimizer == optimizer)
        if let training = source.checkpoint.attributes["training_config"] {
            #expect(kept.checkpoint.attributes["training_config"] == training)
        }

        let report = try convert(model.absolutePath, to: scratch.file("dropped.ingot"), options: .quick(optimizer: .drop))
        #expect(report.notes.contains { $0.contains("dropped") })
        let dropped = try ModelFile.open(scratch.file("dropped.ingot"))
        #expect(dropped.model?.report.optimizer == [])
        #expect(dropped.checkpoint.attributes["training_config"] == nil)
        #expect(try dropped.fingerprint() == source.fingerprint())

        // Across generations it is dropped with a line, and refused to be kept.
        let other = scratch.file(model.dialect == "keras2-h5" ? "other.keras" : "other.h5")
        #expect(throws: UnsupportedError.self) { try convert(model.absolutePath, to: other, options: .quick(optimizer: .keep)) }
        #expect(try model.convert(to: other).notes.contains { $0.contains("not carried across Keras generations") })
    }

    @Test func trainedFixturesAreThere() { #expect(Self.trained.count >= 3) }
}

extension OutputKind {
    var fileExtension: String {
        switch self {
        case .ingot: "ingot"
        case .hdf5: "h5"
        case .keras: "keras"
        case .kerasWeights: "weights.h5"
        case .kerasShards: "weights.json"
        case .safetensors: "safetensors"
        case .tensorFlow: "h5"
        }
    }
}

extension ConversionOptions {
    /// One thread: tests run side by side.
    static func quick(
        naming: Naming = .standard, optimizer: OptimizerPolicy? = nil, force: Bool = false, configuration: String? = nil
    ) -> ConversionOptions {
        ConversionOptions(
            naming: naming, optimizer: optimizer, threadCount: 1, replacesExisting: force, configuration: configuration,
            verification: VerificationOptions(threadCount: 1))
    }
}

extension FixtureModel {
    func convert(to path: String) throws -> ConversionReport {
        try Conversion.convert(absolutePath, to: path, options: .quick(configuration: configurationPath))
    }
}
