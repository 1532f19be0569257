import ByteIO
import JSON
import ModelIR

/// One class of layers: which variables it owns, in which order and where, and what it computes.
protocol KerasLayer: Sendable {
    init(_ config: KerasLayerConfig) throws

    /// In Keras' own order of `weights`.
    var variables: [KerasVariable] { get }
    /// Keyword arguments that the layer understands in a call, besides `training`, `mask` and `initial_state`.
    var keywords: Set<String> { get }
    /// The layer's own name isn't part of its variables' names in Keras 2 .h5.
    var namesVariablesAlone: Bool { get }
    /// What the file leaves open and was assumed, one line each.
    var assumptions: [String] { get }
    /// Where Keras 3 keeps states of random generators, relative to the layer in `.weights.h5`.
    var seedGenerators: [String] { get }

    /// The masks that change what the layer computes, one for each input; empty where it looks at none.
    func masks(usedBy call: KerasLayerCall) -> [ValueID?]

    /// Appends the layer's computation.
    /// - Throws: `UnsupportedError` for what can't be computed, `GraphError` for shapes that don't fit.
    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor]
}

extension KerasLayer {
    var variables: [KerasVariable] { [] }
    var keywords: Set<String> { [] }
    var namesVariablesAlone: Bool { false }
    var assumptions: [String] { [] }
    var seedGenerators: [String] { [] }
    func masks(usedBy call: KerasLayerCall) -> [ValueID?] { [] }
}

/// A variable of a layer: the row of the name table, with a column per convention.
struct KerasVariable: Hashable, Sendable {
    /// Canonical name relative to the layer: `kernel`, `forward_layer/kernel`.
    var role: String
    var isTrainable = true
    /// Group in `.weights.h5` relative to the layer: ``, `cell`, `forward_layer/cell`. Variables of one group are numbered in order.
    var store = ""
    /// Name in Keras 2 .h5, relative to the layer and without `:0`: `kernel`, `lstm_cell/kernel`. `{name}` stands for the wrapped layer's name.
    var keras2: String
    /// Sizes that the configuration states; nil entries follow from the input. nil: nothing is stated.
    var shape: [Int?]?
    /// A counter, which may be stored as an integer.
    var allowsIntegers: Bool

    init(
        _ role: String, isTrainable: Bool = true, store: String = "", keras2: String? = nil, shape: [Int?]? = nil,
        allowsIntegers: Bool = false
    ) {
        self.shape = shape
        self.allowsIntegers = allowsIntegers
        self.role = role
        self.isTrainable = isTrainable
        self.store = store
        self.keras2 = keras2 ?? role
    }
}

/// A tensor on its way through a Keras model, with the mask that travels beside it.
struct KerasTensor: Hashable, Sendable {
    var value: ValueID
    /// bool [batch, time]; nil where there is none.
    var mask: ValueID?
    /// The mask that layers of Keras 3 find on the tensor while they run, where it isn't `mask`, which they found when the model was built:
    /// MultiHeadAttention takes the masks off its arguments.
    var foundMask: FoundMask = .same

    enum FoundMask: Hashable, Sendable {
        case same
        case other(ValueID?)
    }

    init(_ value: ValueID, mask: ValueID? = nil) {
        self.value = value
        self.mask = mask
    }
}

/// The arguments of one call.
struct KerasLayerCall: Sendable {
    /// Tensors passed by position, in order.
    var inputs: [KerasTensor]
    /// `initial_state`, whether passed by keyword or as further inputs.
    var initialState: [ValueID] = []
    /// The mask travels on with the output, but the layer computes without it: Keras 3 gives recurrent layers none beside initial states.
    var computesWithoutMask = false
    /// Positional arguments as they are, constants included.
    var operands: [KerasOperand] = []
    /// Other keyword arguments, by name; layers name those that they understand.
    var keywords: [String: KerasOperand] = [:]

    init(_ inputs: [KerasTensor]) { self.inputs = inputs }

    /// Whether some tensor has another mask while the model runs than it had when it was built.
    var hasFoundMasks: Bool {
        (inputs + keywords.values.flatMap(\.tensors)).contains { $0.foundMask != .same }
    }

    /// The call with the masks that tensors had when the model was built, or that they have while it runs.
    func masked(asFound: Bool) -> KerasLayerCall {
        func settled(_ tensor: KerasTensor) -> KerasTensor {
            guard case .other(let mask) = tensor.foundMask else { return tensor }
            return KerasTensor(tensor.value, mask: asFound ? mask : tensor.mask)
        }
        var call = self
        call.inputs = inputs.map(settled)
        call.keywords = keywords.mapValues { $0.map(settled) }
        return call
    }

    /// A flag among the keywords.
    func flag(_ name: String) -> Bool {
        if case .constant(let value) = keywords[name] { return value.bool ?? (value.int == 1) }
        return false
    }

    /// The one input.
    func input(of layer: KerasLayerConfig) throws(FormatError) -> KerasTensor {
        guard inputs.count == 1 else {
            throw kerasError(
                "bad-config", expected: "1 input for layer '\(layer.name)' (\(layer.spec.className))", found: "\(inputs.count)")
        }
        return inputs[0]
    }
}

/// A call of a layer in the graph.
struct KerasCallKey: Hashable, Sendable {
    /// The layer's canonical path, with a trailing slash.
    var path: String
    /// Position in the layer's list of calls.
    var call: Int
}

/// What a call of a layer takes and gives, as values of the graph.
struct KerasCallRecord: Sendable {
    var inputs: [ValueID]
    /// Masks that change what the layer computes, one for each input; empty where it looks at none.
    var masks: [ValueID?]
    var outputs: [ValueID]
}

/// The graph while it is being lifted.
struct KerasBuilder {
    var graph: Graph
    let version: KerasVersion
    /// Type that values and parameters have in the graph: f32, or f64 for a float64 policy.
    let dtype: DType
    /// Canonical path of the layer at hand, with a trailing slash.
    var prefix = ""
    /// Shapes of the parameters that the checkpoint has, by canonical name.
    let shapes: [String: [Int]]
    /// Calls of layers and of models so far.
    private var callCount = 0

    init(graph: Graph, version: KerasVersion, dtype: DType, shapes: [String: [Int]]) {
        self.graph = graph
        self.version = version
        self.dtype = dtype
        self.shapes = shapes
    }

    /// Counts a call: models that call models twice, and these others twice, make of a short text more layers than memory holds.
    mutating func countCall() throws(FormatError) {
        callCount += 1
        let most = Limits().nodeCount
        guard callCount <= most, graph.nodes.count <= most else {
            throw kerasError("too-many-nodes", expected: "at most \(most) calls of layers, and as many nodes", found: "more")
        }
    }

    /// Shapes of what each layer is called with, by its path; nil entries are open.
    var inputShapes: [String: [[Int?]]] = [:]
    /// What layers were called with; several entries where a model around them is called more than once.
    private(set) var calls: [KerasCallKey: [KerasCallRecord]] = [:]

    mutating func note(_ record: KerasCallRecord, call: Int) {
        calls[KerasCallKey(path: prefix, call: call), default: []].append(record)
    }

    /// Whether two values are made the same way.
    func isSame(_ a: ValueID, _ b: ValueID) -> Bool {
        guard a != b else { return true }
        var numbering = ValueNumbering()
        let numbers = numbering.numbers(of: graph)
        return numbers[a.index] == numbers[b.index]
    }

    /// Layers of Keras 2 that can't be built, since they join masked and unmasked inputs of more than one feature along time.
    var unbuildable: [String] = []

    /// Comparisons that make masks, so that equal masks are one value.
    private var maskComparisons: [MaskComparison: ValueID] = [:]

    private struct MaskComparison: Hashable {
        var value: ValueID
        var constant: Double
    }

    /// Where the walk is in a model that is called again: the model's path, and what stands for it in the names of its layers' outputs.
    var callOfModel: (path: String, name: String)?

    /// The name of a layer's output: `encoder_1/lstm` in the second call of `encoder`.
    func shownName(_ name: String) -> String {
        guard let callOfModel, name.hasPrefix(callOfModel.path) else { return name }
        return callOfModel.name + name.dropFirst(callOfModel.path.count)
    }

    /// Whether layers' outputs are noted for comparison; those inside a TimeDistributed have shapes of their own, and aren't.
    var notesOutputs = true

    /// The parameter `role` of the layer at hand.
    mutating func parameter(_ role: String) throws -> ValueID {
        let name = prefix + role
        guard let shape = shapes[name] else { throw kerasError("missing-weight", expected: "the weight \(name)") }
        return try graph.addParameter(name, ValueType(dtype, Shape(fixed: shape)))
    }

    func shape(of role: String) -> [Int]? { shapes[prefix + role] }

    func type(of tensor: KerasTensor) -> ValueType { graph.type(of: tensor.value) }
    func shape(of tensor: KerasTensor) -> Shape { graph.type(of: tensor.value).shape }

    /// The tensor as the graph's float type.
    mutating func float(_ tensor: KerasTensor) throws -> ValueID {
        try float(tensor.value)
    }

    mutating func float(_ value: ValueID) throws -> ValueID {
        graph.type(of: value).dtype == dtype ? value : try graph.append(.cast(dtype), [value])
    }

    /// Where a value differs from a constant; asked for again it is the same value.
    mutating func notEqual(_ value: ValueID, to constant: Double) throws -> ValueID {
        let key = MaskComparison(value: value, constant: constant)
        if let known = maskComparisons[key] { return known }
        let result = try graph.append(.compare(.notEqual), [value, graph.scalar(constant, graph.type(of: value).dtype)])
        maskComparisons[key] = result
        return result
    }

    /// Runs `body` with the path of a part of the layer at hand.
    mutating func within<R>(_ part: String, _ body: (inout KerasBuilder) throws -> R) throws -> R {
        let saved = prefix
        prefix += part.isEmpty ? "" : part + "/"
        defer { prefix = saved }
        return try body(&self)
    }
}
