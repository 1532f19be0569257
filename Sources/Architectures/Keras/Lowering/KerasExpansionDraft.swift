import JSON
import ModelIR

/// The layers and nodes that take the place of one.
struct KerasExpansionDraft {
    private let instance: KerasInstance
    private let version: KerasVersion
    /// Names of layers in the model, those of the new ones too.
    private(set) var names: Set<String>
    private(set) var made: [KerasInstance] = []

    init(_ instance: KerasInstance, version: KerasVersion, names: Set<String>) {
        self.instance = instance
        self.version = version
        self.names = names
    }

    private var spec: KerasLayerSpec { instance.spec }

    private mutating func freeName(_ suffix: String) -> String {
        var name = "\(spec.name)_\(suffix)"
        while !names.insert(name).inserted { name += "_" }
        return name
    }

    private func config(_ name: String, _ members: JSONObject) -> JSONObject {
        var config: JSONObject = ["name": .string(name), "trainable": true]
        if let dtype = spec.config["dtype"], !dtype.isNull, !spec.isOperation { config["dtype"] = dtype }
        for member in members.members { config[member.key] = member.value }
        return config
    }

    /// Where a layer of this name has its variables and its place in the graph.
    private func path(_ name: String) -> String { instance.path.dropLast(spec.name.count + 1) + name + "/" }

    private func layer(_ className: String, _ name: String, _ members: JSONObject, calls: [KerasCall]) throws -> KerasInstance {
        let spec = KerasLayerSpec(
            className: className, name: name, module: spec.module.map { _ in "keras.layers" }, registeredName: nil,
            config: config(name, members), calls: calls, container: nil)
        return KerasInstance(
            spec: spec, layer: try KerasLayerTable.make(KerasLayerConfig(spec: spec, version: version)), obstacle: nil, path: path(name),
            children: [])
    }

    // MARK: Layers

    private static func rectified(_ maximum: Double?, _ threshold: Double) -> JSONObject {
        ["max_value": maximum.map { .double($0) } ?? .null, "negative_slope": 0.0, "threshold": .double(threshold)]
    }

    /// The layer as a ReLU of its name.
    func rectifier(maximum: Double?, threshold: Double) throws -> KerasInstance {
        try layer("ReLU", spec.name, Self.rectified(maximum, threshold), calls: spec.calls)
    }

    /// clip(slope x + offset, 0, 1): a Rescaling, and a ReLU under the layer's name.
    /// - Parameter keepsMask: as the layer does; a Rescaling of Keras 2 doesn't, which shows when the written model is held against this one.
    mutating func rescaled(_ slope: Double, _ offset: Double, keepsMask: Bool) throws -> [KerasInstance] {
        let name = freeName("rescaled")
        let calls = spec.calls.map { call in
            KerasCall(arguments: call.inputs, keywords: [], isKeras3: call.isKeras3)
        }
        var first = try layer("Rescaling", name, ["scale": .double(slope), "offset": .double(offset)], calls: calls)
        if var rescaling = first.layer as? RescalingLayer {
            rescaling.keepsMask = keepsMask
            first = KerasInstance(spec: first.spec, layer: rescaling, obstacle: nil, path: first.path, children: [])
        }
        let second = spec.calls.indices.map { index in
            KerasCall(
                arguments: [.tensor(KerasTensorReference(layer: name, node: index, tensor: 0))], keywords: [],
                isKeras3: spec.calls[index].isKeras3)
        }
        return [first, try layer("ReLU", spec.name, Self.rectified(1, 0), calls: second)]
    }

    /// The same for every step: a model of the two layers in the place of the wrapped one.
    func distributed(_ slope: Double, _ offset: Double, child: KerasLayerSpec) throws -> KerasInstance {
        func document(_ className: String, _ name: String, _ members: JSONObject) -> JSONValue {
            [
                "module": "keras.layers", "class_name": .string(className), "config": .object(config(name, members)),
                "registered_name": .null,
            ]
        }
        var spec = spec
        spec.config["layer"] = [
            "module": "keras", "class_name": "Sequential", "registered_name": .null,
            "config": [
                "name": .string(child.name),
                "layers": [
                    document("Rescaling", "\(child.name)_rescaled", ["scale": .double(slope), "offset": .double(offset)]),
                    document("ReLU", "\(child.name)_clipped", Self.rectified(1, 0)),
                ],
            ],
        ]
        return KerasInstance(
            spec: spec, layer: try KerasLayerTable.make(KerasLayerConfig(spec: spec, version: version)), obstacle: nil, path: instance.path,
            children: [])
    }

    // MARK: Operations

    /// A node before the last one; gives its output.
    /// - Parameters:
    ///   - constants: arguments after the inputs.
    ///   - isList: the inputs are one argument, a list.
    mutating func operation(
        _ className: String, _ config: JSONObject, _ inputs: [KerasTensorReference], constants: [JSONValue] = [], isList: Bool = false
    ) throws -> KerasTensorReference {
        let name = freeName(className.lowercased())
        made.append(try node(className, name, config, inputs, constants, isList: isList))
        return KerasTensorReference(layer: name, node: 0, tensor: 0)
    }

    /// The node under the name of the one that is replaced.
    mutating func last(
        _ className: String, _ config: JSONObject, _ inputs: [KerasTensorReference], constants: [JSONValue] = []
    ) throws {
        made.append(try node(className, spec.name, config, inputs, constants))
    }

    /// A node in the words of Keras 3, which are understood whatever the model's generation.
    private func node(
        _ className: String, _ name: String, _ members: JSONObject, _ inputs: [KerasTensorReference], _ constants: [JSONValue] = [],
        isList: Bool = false
    ) throws -> KerasInstance {
        let tensors: [KerasArgument] = inputs.map { .tensor($0) }
        var config: JSONObject = ["name": .string(name)]
        for member in members.members { config[member.key] = member.value }
        let spec = KerasLayerSpec(
            className: className, name: name, module: "keras.src.ops.numpy", registeredName: nil, config: config,
            calls: [
                KerasCall(
                    arguments: (isList ? [.list(tensors)] : tensors) + constants.map { .constant($0) }, keywords: [], isKeras3: true)
            ], container: nil)
        return KerasInstance(
            spec: spec, layer: try KerasOperation(KerasLayerConfig(spec: spec, version: version)), obstacle: nil, path: path(name),
            children: [])
    }

    /// A product by an equation as transposed, reshaped and multiplied matrices, as `KerasBuilder.einsum` computes it.
    /// - Returns: false where more than one size is open.
    mutating func product(_ equation: EinsumEquation, _ shapes: [[Int?]], _ inputs: [KerasTensorReference]) throws -> Bool {
        let (left, right, result) = (equation.left, equation.right, equation.result)
        let batch = left.filter { right.contains($0) && result.contains($0) }
        let summed = left.filter { right.contains($0) && !result.contains($0) }
        let (rows, columns) = (left.filter { !right.contains($0) }, right.filter { !left.contains($0) })
        func size(_ letter: Character) -> Int? {
            if let axis = left.firstIndex(of: letter) { return shapes[0][axis] }
            return right.firstIndex(of: letter).flatMap { shapes[1][$0] }
        }
        /// nil: open.
        func count(_ letters: [Character]) -> Int? {
            letters.reduce(Optional(1)) { product, letter in product.flatMap { known in size(letter).map { known * $0 } } }
        }
        let leading = batch.map(size)
        let shaped = [
            (leading + [count(rows), count(summed)], rows.count == 1 && summed.count == 1),
            (leading + [count(summed), count(columns)], summed.count == 1 && columns.count == 1),
            ((batch + rows + columns).map(size), rows.count == 1 && columns.count == 1),
        ]
        guard shaped.allSatisfy({ $0.1 || $0.0.count { $0 == nil } <= 1 }) else { return false }
        let order = batch + rows + columns
        let steps: [(axes: [Int], shape: (sizes: [Int?], isKept: Bool))] = [
            ((batch + rows + summed).compactMap { left.firstIndex(of: $0) }, shaped[0]),
            ((batch + summed + columns).compactMap { right.firstIndex(of: $0) }, shaped[1]),
        ]
        var factors: [KerasTensorReference] = []
        for (input, step) in zip(inputs, steps) {
            var value = try transposed(input, step.axes)
            if !step.shape.isKept { value = try operation("Reshape", Self.newShape(step.shape.sizes), [value]) }
            factors.append(value)
        }
        let axes = result.compactMap { order.firstIndex(of: $0) }
        let isInOrder = axes == Array(axes.indices)
        if shaped[2].1 && isInOrder {
            try last("Matmul", [:], factors)
            return true
        }
        let product = try operation("Matmul", [:], factors)
        if shaped[2].1 {
            try last("Transpose", Self.axes(axes), [product])
        } else if isInOrder {
            try last("Reshape", Self.newShape(shaped[2].0), [product])
        } else {
            try last("Transpose", Self.axes(axes), [try operation("Reshape", Self.newShape(shaped[2].0), [product])])
        }
        return true
    }

    private mutating func transposed(_ value: KerasTensorReference, _ axes: [Int]) throws -> KerasTensorReference {
        axes == Array(axes.indices) ? value : try operation("Transpose", Self.axes(axes), [value])
    }

    private static func axes(_ axes: [Int]) -> JSONObject { ["axes": .array(axes.map { .int($0) })] }
    private static func newShape(_ sizes: [Int?]) -> JSONObject { ["newshape": .array(sizes.map { .int($0 ?? -1) })] }
}
