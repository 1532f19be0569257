import ByteIO
import JSON
import ModelIR

/// Writes a model's layer tree as a configuration of Keras 2 or Keras 3.
struct KerasConfigWriter {
    let target: Int
    var translator: KerasTranslator
    /// Whether some layer of the outermost model makes a mask; nil until it is written.
    private var hasMasks: Bool?

    init(version: KerasVersion, target: Int, inputShapes: [String: [[Int?]]] = [:]) {
        self.target = target
        translator = KerasTranslator(version: version, target: target, inputShapes: inputShapes)
    }

    /// `{"class_name": .., "config": ..}` of a model, with its layers in the order in which the target will number them.
    /// - Parameter inputs: of the outermost model; nil for nested ones, whose inputs are in their configuration.
    mutating func document(_ container: KerasContainer, _ instances: [KerasInstance], inputs: [KerasInputSpec]?) throws -> JSONValue {
        if hasMasks == nil { hasMasks = instances.flatMap(\.flattened).contains { $0.makesMask } }
        let byName = Dictionary(uniqueKeysWithValues: instances.map { ($0.spec.name, $0) })
        var layers: [JSONValue] = []
        if container.isSequential {
            if let input = inputs?.first { layers.append(layer("InputLayer", inputConfig(input))) }
            for spec in container.layers {
                guard let instance = byName[spec.name] else { continue }
                if spec.className == "InputLayer" {
                    if inputs == nil { layers.append(layer("InputLayer", try nestedInput(spec))) }
                } else {
                    layers.append(try body(instance))
                }
            }
            var config: JSONObject = ["name": .string(container.name)]
            if target == 3 { config["trainable"] = .bool(container.config["trainable"]?.bool ?? true) }
            config["layers"] = .array(layers)
            if let input = inputs?.first, target == 3 { config["build_input_shape"] = shape(input.shape) }
            return model("Sequential", module: "keras", config, inputShape: inputs?.first?.shape)
        }
        let specs = try KerasLayerOrder.sorted(container)
        let order = try KerasCallOrder(container)
        let nested = specs.filter { $0.container != nil }
        var numbering = KerasNumbering(
            order, isNested: Set(nested.map(\.name)), functional: Set(nested.filter { $0.container?.isSequential == false }.map(\.name)),
            target: target)
        numbering.renames = freeNames(specs, outputs: container.outputs)
        let calls = KerasCallWriter(target: target, numbering: numbering)
        for spec in specs {
            guard let instance = byName[spec.name] else { continue }
            var value: JSONObject
            if spec.className == "InputLayer" {
                let input = inputs?.first { $0.name == spec.name }
                let config = try input.map(inputConfig) ?? nestedInput(spec)
                value = layer("InputLayer", config).object ?? [:]
                value["name"] = .string(spec.name)
                value["inbound_nodes"] = []
            } else if spec.isOperation {
                let needed = order.calls.filter { $0.layer == spec.name }.map(\.call).sorted()
                do {
                    value = try KerasOperationWriter(calls: calls).document(spec, calls: needed.map { spec.calls[$0] })
                } catch let error as UnsupportedError {
                    translator.obstacles.append(error.description)
                    continue
                }
            } else {
                value = try body(instance).object ?? [:]
                value["name"] = .string(numbering.renames[spec.name] ?? spec.name)
                if let renamed = numbering.renames[spec.name], var config = value["config"]?.object {
                    config["name"] = .string(renamed)
                    value["config"] = .object(config)
                }
                let needed = order.calls.filter { $0.layer == spec.name }.map(\.call).sorted()
                value["inbound_nodes"] = .array(needed.map { calls.document(spec.calls[$0], of: instance) })
            }
            layers.append(.object(value))
        }
        let config: JSONObject = [
            "name": .string(container.name), "trainable": .bool(container.config["trainable"]?.bool ?? true), "layers": .array(layers),
            "input_layers": ports(container.inputs, numbering), "output_layers": ports(container.outputs, numbering, isOutput: true),
        ]
        return model("Functional", module: "keras.src.models.functional", config, inputShape: nil)
    }

    /// Other names for layers that Keras 3 can't load under their own: joining masks, it makes an operation `concatenate` of itself, which must not
    /// meet a layer that is called so. Layers that name an output keep their names.
    private mutating func freeNames(_ specs: [KerasLayerSpec], outputs: [KerasTensorReference]) -> [String: String] {
        guard target == 3, translator.source < 3, hasMasks == true else { return [:] }
        var taken = Set(specs.map(\.name))
        var renames: [String: String] = [:]
        for spec in specs where spec.className == "Concatenate" && spec.name.hasPrefix("concatenate") {
            guard spec.name.dropFirst(11).allSatisfy({ $0 == "_" || $0.isNumber }), !outputs.contains(where: { $0.layer == spec.name })
            else {
                continue
            }
            var name = "\(spec.name)_layer"
            while !taken.insert(name).inserted { name += "_" }
            renames[spec.name] = name
            translator.note("layer '\(spec.name)' is called '\(name)': loading it, Keras 3 gives its name to an operation on masks")
        }
        return renames
    }

    private func model(_ className: String, module: String, _ config: JSONObject, inputShape: [Int?]?) -> JSONValue {
        guard target == 3 else { return ["class_name": .string(className), "config": .object(config)] }
        return [
            "module": .string(module), "class_name": .string(className), "config": .object(config),
            "registered_name": className == "Functional" ? "Functional" : .null,
            "build_config": ["input_shape": inputShape.map(shape) ?? .null],
        ]
    }

    private func layer(_ className: String, _ config: JSONObject) -> JSONValue {
        guard target == 3 else { return ["class_name": .string(className), "config": .object(config)] }
        return translator.serialized(className, module: "keras.layers", config)
    }

    private mutating func body(_ instance: KerasInstance) throws -> JSONValue {
        if let nested = instance.spec.container { return try document(nested, instance.children, inputs: nil) }
        return layer(instance.spec.className, translator.config(instance.spec, layer: instance.layer, path: instance.path))
    }

    private func shape(_ sizes: [Int?]) -> JSONValue { .array(sizes.map { $0.map { .int($0) } ?? .null }) }

    private func inputConfig(_ input: KerasInputSpec) -> JSONObject {
        let names: [DType: String] = [
            .f32: "float32", .f64: "float64", .i32: "int32", .i64: "int64", .i16: "int16", .i8: "int8", .u8: "uint8", .u16: "uint16",
            .u32: "uint32", .bool: "bool",
        ]
        var config: JSONObject = [
            target == 3 ? "batch_shape" : "batch_input_shape": shape(input.shape), "dtype": .string(names[input.dtype] ?? "float32"),
            "sparse": false,
        ]
        if target == 2 { config["ragged"] = false }
        config["name"] = .string(input.name)
        return config
    }

    /// The input layer of a nested model.
    private func nestedInput(_ spec: KerasLayerSpec) throws -> JSONObject {
        let value = spec.config["batch_shape"] ?? spec.config["batch_input_shape"]
        guard let value, !value.isNull else { throw kerasError("bad-config", expected: "a shape for the input layer '\(spec.name)'") }
        var config: JSONObject = [
            target == 3 ? "batch_shape" : "batch_input_shape": value, "dtype": .string(dtypeName(spec.config["dtype"]) ?? "float32"),
            "sparse": false,
        ]
        if target == 2 { config["ragged"] = false }
        config["name"] = .string(spec.name)
        return config
    }

    /// Inputs or outputs: several as a list of lists; one alone flat in Keras 3, which tells one tensor from a list of one.
    private func ports(_ references: [KerasTensorReference], _ numbering: KerasNumbering, isOutput: Bool = false) -> JSONValue {
        let lists = references.map { isOutput ? numbering.output($0) : numbering.reference($0) }
        return target == 3 && lists.count == 1 ? lists[0] : .array(lists)
    }
}

/// How calls are numbered in the target: without those that no output needs; from 1 for nested models in Keras 2, whose call 0 is their own.
struct KerasNumbering {
    private var numbers: [KerasCallOrder.Step: Int] = [:]
    /// Names in the target, where they are others.
    var renames: [String: String] = [:]
    private let order: KerasCallOrder
    private let functional: Set<String>
    private let target: Int

    /// - Parameters:
    ///   - isNested: names of nested models.
    ///   - functional: those of them that aren't Sequential.
    init(_ order: KerasCallOrder, isNested: Set<String>, functional: Set<String>, target: Int) {
        self.order = order
        self.functional = functional
        self.target = target
        var calls: [String: [Int]] = [:]
        for step in order.calls { calls[step.layer, default: []].append(step.call) }
        for (layer, list) in calls {
            for (i, call) in list.sorted().enumerated() {
                numbers[KerasCallOrder.Step(layer: layer, call: call)] = i + (target == 2 && isNested.contains(layer) ? 1 : 0)
            }
        }
    }

    private func node(_ reference: KerasTensorReference) -> Int {
        numbers[KerasCallOrder.Step(layer: reference.layer, call: max(reference.node - order.offset(reference.layer), 0))] ?? reference.node
    }

    /// `[layer, node, tensor]`.
    func reference(_ reference: KerasTensorReference) -> JSONValue {
        [.string(renames[reference.layer] ?? reference.layer), .int(node(reference)), .int(reference.tensor)]
    }

    /// `[layer, node, tensor]` in the list of outputs, where Keras 3 counts the calls of nested functional models from 1, too.
    func output(_ reference: KerasTensorReference) -> JSONValue {
        let shift = target == 3 && functional.contains(reference.layer) ? 1 : 0
        return [.string(reference.layer), .int(node(reference) + shift), .int(reference.tensor)]
    }

    /// Keras 3's object for a tensor; its loader reads the history alone.
    func tensor(_ reference: KerasTensorReference) -> JSONValue {
        ["class_name": "__keras_tensor__", "config": ["shape": [], "dtype": "float32", "keras_history": self.reference(reference)]]
    }
}
