import ByteIO
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

    // MARK: Masks

    @Test func masksBecomeArguments() throws {
        let written = try classes("keras2/keras2_initial_state_mask_merges.h5", to: "x.keras")
        #expect(written.contains("NotEqual") && written.contains("LogicalAnd") && written.contains("GetItem"))
        let back = try classes("keras3/keras3_initial_state_mask_merges.keras", to: "x.h5")
        #expect(back.contains("math.logical_or") && back.contains("SlicingOpLambda"))
    }

    /// Keras 3 leaves masked elements out of products and extremes.
    @Test(arguments: ["one", "two"]) func maskedProductsBecomeOperations(count: String) throws {
        let written = try classes("keras3/keras3_merge_others_\(count)_mask\(count == "two" ? "s" : "").keras", to: "x.h5")
        #expect(written.contains("where") && written.contains("math.maximum") && !written.contains("Multiply"))
    }

    @Test func equalMasksAreLeftToTravel() throws {
        let written = try classes("keras2/keras2_mask_merges_equal.h5", to: "x.keras")
        #expect(!written.contains("NotEqual") && !written.contains("GetItem"))
    }

    // MARK: Positions

    @Test func positionsAreCast() throws {
        let written = try classes("keras2/keras2_ops_positions.h5", to: "x.keras")
        #expect(written.contains("Argmax") && written.contains("Cast"))
        let back = try classes("keras3/keras3_ops_positions.keras", to: "x.h5")
        #expect(back.contains("math.argmax") && back.contains("expand_dims"))
    }

    @Test func operationsInsideTimeDistributed() throws {
        let written = try classes("keras3/keras3_time_distributed_operations.keras", to: "x.h5")
        #expect(written.contains("linalg.matmul") && !written.contains("Einsum") && !written.contains("Swapaxes"))
    }

    // MARK: What no fixture has: tf_keras writes neither of these keys for a model that it can load again

    @Test(arguments: [
        ("keras2/keras2_batch_normalization.h5", "BatchNormalization", "virtual_batch_size", JSONValue.int(4)),
        ("keras2/keras2_rnn_stack_state.h5", "StackedRNNCells", "reverse_state_order", .bool(true)),
        ("keras2/keras2_rnn_stack_state.h5", "RNN", "num_constants", .int(1)),
    ]) func isRefusedByName(path: String, className: String, key: String, value: JSONValue) throws {
        let file = try Fixtures.model(path).open()
        var checkpoint = file.checkpoint
        let index = try #require(checkpoint.attributes.firstIndex { $0.name == "model_config" })
        let text = try #require(checkpoint.attributes["model_config"]?.text)
        func changed(_ document: JSONValue) -> JSONValue {
            if let elements = document.array { return .array(elements.map(changed)) }
            guard var object = document.object else { return document }
            for member in object.members { object[member.key] = changed(member.value) }
            if object["class_name"]?.string == className, var config = object["config"]?.object {
                config[key] = value
                object["config"] = .object(config)
            }
            return .object(object)
        }
        checkpoint.attributes[index].value = .text(changed(try JSONValue.parse(Array(text.utf8))).serialized(.python))
        let scratch = try TemporaryDirectory()
        let changedPath = scratch.file("changed.h5")
        let output = try OutputFile(target: changedPath, replacesExisting: false)
        try #require(Registry.format(named: "hdf5")).write(checkpoint, to: output, options: WriteOptions())
        try output.commit()
        let model = try ModelFile.open(changedPath).requireModel()
        let error = #expect(throws: UnsupportedError.self) { try model.graph() }
        let words = ["virtual_batch_size": "virtual_batch_size", "reverse_state_order": "reverse", "num_constants": "constants"][key] ?? ""
        #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    }
}
