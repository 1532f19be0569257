import ModelIR

/// Parameters that must change because Keras 2 and 3 compute hard_sigmoid differently: clip(x/5 + 1/2) against clip(x/6 + 1/2).
///
/// hard_sigmoid of Keras 3 at 1.2 x is that of Keras 2 at x, so scaling what feeds it by 1.2 (or by 1/1.2 the other way) keeps the function.
struct KerasRewrites {
    let factor: Double
    let target: Int
    private(set) var rewrites: [Rewrite] = []
    private(set) var obstacles: [String] = []
    /// Canonical paths of the layers whose parameters change.
    private(set) var layers: Set<String> = []

    init(from source: Int, to target: Int) {
        self.target = target
        factor = source < 3 && target == 3 ? 1.2 : source == 3 && target < 3 ? 1 / 1.2 : 1
    }

    mutating func add(_ instances: [KerasInstance], shapes: [String: [Int]]) {
        guard factor != 1 else { return }
        for instance in instances {
            add(instance.children, shapes: shapes)
            if let layer = instance.layer { add(layer, path: instance.path, name: String(instance.path.dropLast()), shapes: shapes) }
        }
    }

    private static func isHardSigmoid(_ activation: Activation) -> Bool {
        if case .hardSigmoid = activation { return true }
        return false
    }

    private mutating func add(_ layer: any KerasLayer, path: String, name: String, shapes: [String: [Int]]) {
        switch layer {
        case let layer as RecurrentLayer: add(layer, path: path, name: name, shapes: shapes)
        case let layer as BidirectionalLayer:
            add(layer.forward, path: path + "forward_layer/", name: name, shapes: shapes)
            add(layer.backward, path: path + "backward_layer/", name: name, shapes: shapes)
        case let layer as TimeDistributedLayer: add(layer.child, path: path, name: name, shapes: shapes)
        case let layer as ModelLayer:
            for instance in layer.instances {
                for nested in instance.flattened {
                    if let layer = nested.layer { add(layer, path: path + nested.path, name: name, shapes: shapes) }
                }
            }
        case let layer as DenseLayer where Self.isHardSigmoid(layer.activation):
            scale(layer.variables.map(\.role), blocks: [0], of: 1, path: path, name: name)
        case let layer as EinsumDenseLayer where Self.isHardSigmoid(layer.activation):
            scale(layer.variables.map(\.role), blocks: [0], of: 1, path: path, name: name)
        case let layer as ConvolutionLayer where Self.isHardSigmoid(layer.activation):
            scale(layer.lastRoles, blocks: [0], of: 1, path: path, name: name)
        case let layer as TransposedConvolutionLayer where Self.isHardSigmoid(layer.activation):
            scale(layer.variables.map(\.role), blocks: [0], of: 1, path: path, name: name)
        case let layer as ActivationLayer where Self.isHardSigmoid(layer.activation):
            obstacles.append(
                "layer '\(name)': hard_sigmoid is another function in Keras \(target), and no weights before it can make up for it")
        default: break
        }
    }

    private mutating func add(_ layer: RecurrentLayer, path: String, name: String, shapes: [String: [Int]]) {
        for cell in layer.cells {
            var blocks: [Int] = []
            if cell.kind != .simple && Self.isHardSigmoid(cell.recurrentActivation) { blocks += cell.kind == .lstm ? [0, 1, 3] : [0, 1] }
            if Self.isHardSigmoid(cell.activation) {
                switch cell.kind {
                case .simple: blocks.append(0)
                case .gru: blocks.append(2)
                case .lstm:
                    obstacles.append(
                        "layer '\(name)': the activation hard_sigmoid also acts on the cell state, so no weights can make up for Keras \(target)'s other one"
                    )
                }
            }
            scale(cell.variables.map(\.role), blocks: blocks, of: cell.kind.gateCount, path: path, name: name)
        }
    }

    /// Scales blocks of columns, of `count` equal ones.
    private mutating func scale(_ roles: [String], blocks: [Int], of count: Int, path: String, name: String) {
        guard !blocks.isEmpty else { return }
        layers.insert(name)
        let factor = self.factor
        for role in roles {
            rewrites.append(
                Rewrite(
                    parameter: path + role,
                    description:
                        "\(path)\(role): columns that feed hard_sigmoid scaled by \(target == 3 ? "1.2" : "1/1.2"), as Keras \(target) computes it"
                ) { tensor in
                    var values = try tensor.doubles()
                    let width = tensor.shape.last ?? 1
                    let size = width / count
                    for i in values.indices where blocks.contains(i % width / size) { values[i] *= factor }
                    return Tensor(values, dtype: tensor.dtype, shape: tensor.shape)
                })
        }
    }

    /// The op of a rewritten layer as the target computes it on the rewritten parameters.
    func target(_ op: Op, origin: String) -> Op {
        guard layers.contains(origin), case .composite(let composite) = op else { return op }
        let other = Activation.hardSigmoid(slope: target == 3 ? 1.0 / 6 : 0.2, offset: 0.5)
        switch composite {
        case .activation(.hardSigmoid): return .composite(.activation(other))
        case .recurrence(var recurrence):
            if Self.isHardSigmoid(recurrence.activation) { recurrence.activation = other }
            if Self.isHardSigmoid(recurrence.recurrentActivation) { recurrence.recurrentActivation = other }
            return .composite(.recurrence(recurrence))
        case .activation, .softmax, .layerNorm, .batchNorm, .attention, .longformerAttention, .lshAttention: return op
        }
    }
}
