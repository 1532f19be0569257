import Conversion
import FormatKit
import JSON
import TestSupport
import Testing

/// What one generation of Keras has no word for, written in words of the other that compute the same.
@Suite struct KerasExpansionTests {
    private func classes(_ path: String, to name: String) throws -> [String] {
        let scratch = try TemporaryDirectory()
        let report = try Fixtures.model(path).convert(to: scratch.file(name))
        #expect(report.verification?.passes == true)
        #expect(report.verification?.layers.contains { !$0.isOutput } == true, "layers of both sides are compared")
        let checkpoint = try ModelFile.open(scratch.file(name)).checkpoint
        let text = try #require(
            checkpoint.attributes["model_config"]?.text
                ?? checkpoint.document("config.json").map { String(decoding: $0.bytes, as: UTF8.self) })
        return names(in: try JSONValue.parse(Array(text.utf8)))
    }

    private func names(in value: JSONValue) -> [String] {
        if let elements = value.array { return elements.flatMap(names) }
        guard let object = value.object else { return [] }
        let own = object["class_name"]?.string.map { $0 == "TFOpLambda" ? object["config"]?["function"]?.string ?? $0 : $0 }
        return (own.map { [$0] } ?? []) + object.members.flatMap { names(in: $0.value) }
    }

    @Test func hardSigmoidLayersBecomeRescalingAndReLU() throws {
        let written = try classes("keras2/keras2_activation_layers.h5", to: "x.keras")
        #expect(written.filter { $0 == "Rescaling" }.count == 1 && written.contains("ReLU"))
    }

    @Test func thresholdedReLUBecomesReLU() throws {
        let written = try classes("keras2/keras2_activation_classes.h5", to: "x.keras")
        #expect(!written.contains("ThresholdedReLU") && written.contains("ReLU"))
    }

    @Test func transposedOperandsBecomeOperations() throws {
        let written = try classes("keras2/keras2_ops_matmul_cast.h5", to: "x.keras")
        #expect(written.contains("Swapaxes") && written.contains("Matmul"))
    }

    @Test func einsumBecomesMatmul() throws {
        let written = try classes("keras3/keras3_ops_matmul_cast.keras", to: "x.h5")
        #expect(written.contains("linalg.matmul") && written.contains("transpose") && !written.contains("einsum"))
    }
}
