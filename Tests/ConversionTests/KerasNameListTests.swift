import ByteIO
import Conversion
import Executor
import FormatKit
import JSON
import ModelIR
import TestSupport
import Testing

/// Lists of names past the 64512 bytes that an attribute may have: Keras 2 cuts them into `layer_names0`, `layer_names1`, .., and so does
/// what is written; a whole model goes there and back.
@Suite struct KerasNameListTests {
    static let count = 1_300

    /// Long enough that 1300 of them take 65000 bytes and more.
    private static func name(_ i: Int, _ part: String) -> String {
        "\(part)_\(i)_" + String(repeating: "x", count: 40)
    }

    private static func layer(_ className: String, _ config: JSONObject, inputs: [JSONValue]? = nil, name: String) -> JSONValue {
        var value: JSONObject = ["class_name": .string(className), "config": .object(config)]
        value["name"] = .string(name)
        if let inputs { value["inbound_nodes"] = .array(inputs) }
        return .object(value)
    }

    private static func dense(_ name: String) -> JSONObject {
        ["name": .string(name), "trainable": true, "dtype": "float32", "units": 1, "activation": "linear", "use_bias": true]
    }

    /// 1300 layers y = a x + b, one after the other, then a nested model of 1300 more.
    private static func model() -> Checkpoint {
        var generator = SplitMix(seed: 7)
        var checkpoint = Checkpoint(format: "made")
        var layers: [JSONValue] = [
            layer("InputLayer", ["name": "x", "batch_input_shape": [.null, 1], "dtype": "float32"], inputs: [], name: "x")
        ]
        var before = "x"
        for i in 0..<count {
            layers.append(layer("Dense", dense(name(i, "outer")), inputs: [[[.string(before), 0, 0, [:]]]], name: name(i, "outer")))
            before = name(i, "outer")
        }
        let inner = (0..<count).map { layer("Dense", dense(name($0, "inner")), name: name($0, "inner")) }
        layers.append(
            layer(
                "Sequential",
                [
                    "name": "nested",
                    "layers": .array(
                        [layer("InputLayer", ["name": "y", "batch_input_shape": [.null, 1], "dtype": "float32"], name: "y")] + inner),
                ],
                inputs: [[[.string(before), 0, 0, [:]]]], name: "nested"))
        let configuration: JSONValue = [
            "class_name": "Functional",
            "config": [
                "name": "many", "layers": .array(layers), "input_layers": [["x", 0, 0]], "output_layers": [["nested", 1, 0]],
            ],
        ]
        for (part, prefix) in [("outer", ""), ("inner", "nested/")] {
            for i in 0..<count {
                let scale = Double.random(in: 0.999...1.001, using: &generator)
                let shift = Double.random(in: -0.005...0.005, using: &generator)
                checkpoint.tensors.append(
                    .init(name: "\(prefix)\(name(i, part))/kernel", tensor: Tensor([scale], dtype: .f32, shape: [1, 1])))
                checkpoint.tensors.append(.init(name: "\(prefix)\(name(i, part))/bias", tensor: Tensor([shift], dtype: .f32, shape: [1])))
            }
        }
        checkpoint.attributes = [
            Attribute("model_config", .text(configuration.serialized(.python))), Attribute("ingot_naming", .text("canonical")),
            Attribute("keras_version", .text("2.18.0")), Attribute("backend", .text("tensorflow")),
        ]
        return checkpoint
    }

    @Test func listsAreCutAndReadAgain() throws {
        let scratch = try TemporaryDirectory()
        let source = scratch.file("source.safetensors")
        let checkpoint = Self.model()
        let output = try OutputFile(target: source, replacesExisting: false)
        try #require(Registry.format(named: "safetensors")).write(checkpoint, to: output, options: WriteOptions())
        try output.commit()

        let path = scratch.file("written.h5")
        let report = try convert(source, to: path)
        #expect(report.verification?.passes == true)
        let written = try ModelFile.open(path)
        let attributes = try #require(written.checkpoint.group("model_weights")).attributes
        #expect(attributes["layer_names"] == nil && attributes["layer_names0"] != nil && attributes["layer_names1"] != nil)
        // A list is read as one, whatever it was cut into.
        #expect(attributes.strings("layer_names")?.count == Self.count + 2)
        let nested = try #require(written.checkpoint.group("model_weights/nested")).attributes
        #expect(nested["weight_names"] == nil && nested["weight_names2"] != nil)
        #expect(nested.strings("weight_names")?.count == 2 * Self.count)
        for attribute in attributes + nested {
            if case .strings(let strings) = attribute.value {
                #expect(strings.values.reduce(0) { $0 + $1.count } <= 64_512, "\(attribute.name)")
            }
        }

        // What a chain of a x + b gives, multiplied out here.
        let model = try written.requireModel()
        let tensors = Dictionary(checkpoint.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        #expect(model.parameters.count == tensors.count)
        var expected = [0.5, -2]
        for (part, prefix) in [("outer", ""), ("inner", "nested/")] {
            for i in 0..<Self.count {
                let name = "\(prefix)\(Self.name(i, part))"
                let (a, b) = (try #require(tensors["\(name)/kernel"]).doubles()[0], try #require(tensors["\(name)/bias"]).doubles()[0])
                expected = expected.map { a * $0 + b }
            }
        }
        let inputs = scratch.file("in.npz")
        try Arrays.write([("x", Tensor([0.5, -2], dtype: .f32, shape: [2, 1]))], to: inputs, replacesExisting: false)
        for file in [path, source] {
            let found = try Self.run(file, inputs)
            for (a, b) in zip(found, expected) { #expect(abs(a - b) <= 1e-5 * max(1, abs(b)), "\(file): \(found), \(expected)") }
        }
        let again = scratch.file("again.ingot")
        #expect(try convert(path, to: again).fingerprint == report.fingerprint)
    }

    private static func run(_ path: String, _ inputs: String) throws -> [Double] {
        let model = try ModelFile.open(path).requireModel()
        let graph = try model.graph()
        let parameters = Dictionary(model.parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let values = try matchedInputs(Arrays.read(inputs), to: model, graph: graph).inputs
        let result = try Executor.run(graph, parameters: parameters, inputs: values)
        return try #require(result.outputs.first).tensor.doubles()
    }
}
