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
}
