import ByteIO
import Conversion
import FormatKit
import JSON
import ModelIR
import TestSupport
import Testing

/// Conversions of a model of transformers: to directories, in shards, to other dtypes; and what `diff` says of the results.
@Suite struct DirectoryConversionTests {
    static let source = Fixtures.path("transformers/bert_model/safetensors5")

    private func options(
        to kind: OutputKind? = nil, dtype: DType? = nil, shard: UInt64 = 5_000_000_000, maxDrift: Double? = nil, force: Bool = false
    ) -> ConversionOptions {
        ConversionOptions(
            to: kind, dtype: dtype, maxShardByteCount: shard, threadCount: 1, replacesExisting: force,
            verification: VerificationOptions(threadCount: 1, maxDrift: maxDrift))
    }

    @Test(arguments: [OutputKind.safetensors, .tensorFlow]) func shardsAreOneModel(kind: OutputKind) throws {
        let scratch = try TemporaryDirectory()
        let report = try convert(Self.source, to: scratch.file("out"), options: options(to: kind, shard: 6_000))
        #expect(report.verification?.passes == true)
        let names = try directoryEntries(scratch.file("out"))
        #expect(names.filter { $0.contains("-of-") }.count > 2, "\(names)")
        #expect(names.contains("config.json"))
        #expect(names.contains { $0.hasSuffix(".index.json") })
        let difference = try ModelDifference(ModelFile.open(Self.source), ModelFile.open(scratch.file("out")))
        #expect(difference.isSame)
        #expect(difference.fingerprints.first == difference.fingerprints.second)

        // One file in their place takes all of them away, with leave only.
        #expect(throws: FileError.self) { try convert(Self.source, to: scratch.file("out"), options: options(to: kind)) }
        _ = try convert(Self.source, to: scratch.file("out"), options: options(to: kind, force: true))
        #expect(try directoryEntries(scratch.file("out")).filter { $0.contains("-of-") || $0.hasSuffix(".index.json") } == [])
        #expect(scratch.names == ["out"])
    }

    @Test(arguments: [DType.f16, .bf16]) func roundingIsDeclaredAndBounded(dtype: DType) throws {
        let scratch = try TemporaryDirectory()
        let report = try convert(Self.source, to: scratch.file("small.safetensors"), options: options(dtype: dtype))
        let verification = try #require(report.verification)
        #expect(verification.passes)
        #expect(verification.rewrittenCount > 0 && verification.differences.isEmpty)
        #expect(verification.outputDrift > 0)
        let written = try ModelFile.open(scratch.file("small.safetensors"))
        #expect(written.checkpoint.tensors.allSatisfy { $0.tensor.dtype == dtype })
        let difference = try ModelDifference(ModelFile.open(Self.source), written)
        #expect(!difference.isSame)
        #expect(difference.rows.allSatisfy { $0.outcome == .rounded(from: .f32, to: dtype) })

        #expect(throws: VerificationFailure.self) {
            try convert(Self.source, to: scratch.file("bounded.ingot"), options: options(dtype: dtype, maxDrift: 1e-9))
        }
        #expect(scratch.names == ["small.safetensors"])
    }

    @Test func whatADTypeCannotHoldIsRefused() throws {
        let scratch = try TemporaryDirectory()
        var checkpoint = Checkpoint(format: "lowered")
        checkpoint.tensors = [.init(name: "large", tensor: Tensor([Float](arrayLiteral: 1, 65_519, 65_520), shape: [3]))]
        let output = try OutputFile(target: scratch.file("in.safetensors"), replacesExisting: false)
        try #require(Registry.format(named: "safetensors")).write(checkpoint, to: output, options: WriteOptions())
        try output.commit()
        let error = #expect(throws: UnsupportedError.self) {
            try convert(scratch.file("in.safetensors"), to: scratch.file("out.safetensors"), options: options(dtype: .f16))
        }
        #expect(error?.items == ["large (1 of 3)"])
        _ = try convert(scratch.file("in.safetensors"), to: scratch.file("out.safetensors"), options: options(dtype: .bf16))
    }

    /// As TensorFlow's save_pretrained writes them: names in the index with the model's scope, in the shards without.
    @Test func tensorFlowsIndexHasTheModelsScope() throws {
        let scratch = try TemporaryDirectory()
        let source = Fixtures.path("transformers/bert_shards/safetensors5_sharded")
        _ = try convert(source, to: scratch.file("out"), options: options(to: .tensorFlow, shard: 8_000))
        func names(_ folder: String) throws -> (index: Set<String>, shards: Set<String>) {
            let index = try JSONValue.parse(try ByteRegion(path: "\(folder)/tf_model.h5.index.json").bytes())
            let map = try #require(index["weight_map"]?.object)
            return (Set(map.keys), Set(try ModelFile.open(folder).checkpoint.tensors.map(\.name)))
        }
        let theirs = try names(Fixtures.path("transformers/bert_shards/tf4_sharded"))
        let ours = try names(scratch.file("out"))
        #expect(ours.index == theirs.index)
        #expect(ours.shards == theirs.shards)
    }

    /// Tokenizer files go along, code and pickles don't, and the key that names code is taken out.
    @Test func sidecarsGoAlong() throws {
        let scratch = try TemporaryDirectory()
        let input = try TemporaryDirectory()
        for name in try directoryEntries(Self.source) where !name.hasPrefix(".") {
            _ = try input.write(try ByteRegion(path: "\(Self.source)/\(name)").bytes(), to: name)
        }
        let text = { (text: String) in Array(text.utf8) }
        _ = try input.write(text("hello\nworld\n"), to: "vocab.txt")
        _ = try input.write(
            text("{\"auto_map\": {\"AutoTokenizer\": \"evil.Evil\"}, \"do_lower_case\": true}"), to: "tokenizer_config.json")
        for name in ["tokenizer.json", "special_tokens_map.json", "generation_config.json"] {
            _ = try input.write(text("{\"a\": 1}"), to: name)
        }
        for name in ["modeling_evil.py", "training_args.bin", "notes.txt", "optimizer.pt"] { _ = try input.write(text("no"), to: name) }

        let wanted = ["generation_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
        let report = try convert(input.path, to: scratch.file("out"), options: options(to: .safetensors))
        #expect(report.notes.contains { $0.contains("auto_map is removed from tokenizer_config.json") })
        // By way of .ingot too.
        _ = try convert(input.path, to: scratch.file("a.ingot"), options: options())
        _ = try convert(scratch.file("a.ingot"), to: scratch.file("again"), options: options(to: .safetensors))
        for folder in ["out", "again"] {
            let names = try directoryEntries(scratch.file(folder)).filter { !$0.hasPrefix(".") }
            #expect(names.sorted() == (wanted + ["config.json", "model.safetensors"]).sorted())
            #expect(try ByteRegion(path: scratch.file("\(folder)/vocab.txt")).bytes() == text("hello\nworld\n"))
            let tokenizer = try JSONValue.parse(try ByteRegion(path: scratch.file("\(folder)/tokenizer_config.json")).bytes())
            #expect(tokenizer["auto_map"] == nil && tokenizer["do_lower_case"]?.bool == true)
        }
    }

    /// What Ingot doesn't know is carried tensor for tensor, compared bit for bit, and the report says that nothing was run.
    @Test(arguments: ["no_such_model", "bert"]) func unknownArchitecturesAreCarried(type: String) throws {
        let scratch = try TemporaryDirectory()
        let input = try TemporaryDirectory()
        let folder = Fixtures.path("transformers/gpt2_lm/legacy4_buffers")
        _ = try input.write(try ByteRegion(path: "\(folder)/pytorch_model.bin").bytes(), to: "pytorch_model.bin")
        // Of an unknown family; of a known one, but a class that can't be run.
        let config = "{\"model_type\": \"\(type)\", \"architectures\": [\"BrandNewModel\"]}"
        _ = try input.write(Array(config.utf8), to: "config.json")
        let source = try ModelFile.open(input.path)
        #expect(!(try Inspection(source)).obstacles.isEmpty || type == "no_such_model")
        for (output, kind) in [("out", OutputKind.safetensors), ("small", .safetensors), ("a.ingot", nil), ("b.h5", nil)] {
            let shard: UInt64 = output == "small" ? 4_000 : 5_000_000_000
            let report = try convert(input.path, to: scratch.file(output), options: options(to: kind, shard: shard))
            let verification = try #require(report.verification)
            #expect(verification.passes && verification.differences.isEmpty && verification.equalCount > 20)
            #expect(verification.forwardObstacle != nil)
            let written = try ModelFile.open(scratch.file(output)).checkpoint
            let theirs = Dictionary(written.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
            #expect(theirs.count == source.checkpoint.tensors.count)
            for entry in source.checkpoint.tensors {
                let name = output == "b.h5" ? entry.name.replacing("/", with: ".") : entry.name
                #expect(try theirs[name]?.bytes() == entry.tensor.bytes(), "\(output): \(entry.name)")
            }
        }
    }
}
