import ByteIO
import ModelIR

/// One class of layers: which variables it owns, in which order and where, and what it computes.
protocol KerasLayer: Sendable {
    init(_ config: KerasLayerConfig) throws

    /// In Keras' own order of `weights`.
    var variables: [KerasVariable] { get }
    /// Where Keras 3 keeps states of random generators, relative to the layer in `.weights.h5`.
    var seedGenerators: [String] { get }

    /// Appends the layer's computation.
    /// - Throws: `UnsupportedError` for what can't be computed, `GraphError` for shapes that don't fit.
    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor]
}

extension KerasLayer {
    var variables: [KerasVariable] { [] }
    var seedGenerators: [String] { [] }
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

    init(_ role: String, isTrainable: Bool = true, store: String = "", keras2: String? = nil, shape: [Int?]? = nil) {
        self.shape = shape
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

    init(_ value: ValueID, mask: ValueID? = nil) {
        self.value = value
        self.mask = mask
    }
}

/// The arguments of one call.
struct KerasLayerCall: Sendable {
    var inputs: [KerasTensor]
    /// `initial_state`, whether passed by keyword or as further inputs.
    var initialState: [ValueID] = []
    /// Other keyword arguments that aren't null, by name; layers refuse what they don't know.
    var keywords: [String: [KerasArgument]] = [:]

    init(_ inputs: [KerasTensor]) { self.inputs = inputs }

    /// The one input.
    func input(of layer: KerasLayerConfig) throws(FormatError) -> KerasTensor {
        guard inputs.count == 1 else {
            throw kerasError(
                "bad-config", expected: "1 input for layer '\(layer.name)' (\(layer.spec.className))", found: "\(inputs.count)")
        }
        return inputs[0]
    }
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
        graph.type(of: tensor.value).dtype == dtype ? tensor.value : try graph.append(.cast(dtype), [tensor.value])
    }

    /// Runs `body` with the path of a part of the layer at hand.
    mutating func within<R>(_ part: String, _ body: (inout KerasBuilder) throws -> R) throws -> R {
        let saved = prefix
        prefix += part + "/"
        defer { prefix = saved }
        return try body(&self)
    }
}
