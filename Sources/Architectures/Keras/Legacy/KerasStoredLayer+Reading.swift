import ByteIO
import FormatKit

extension KerasStoredLayer {
    /// The layers of bare weights in order, and the version that wrote them.
    /// - Parameter order: names of the layers of a `.weights.h5`, with commas, where their order doesn't follow from their shapes.
    /// - Returns: nil if Keras did not write the checkpoint.
    static func all(in checkpoint: Checkpoint, order: String?) throws -> (layers: [KerasStoredLayer], version: KerasVersion)? {
        let shapes = Dictionary(checkpoint.tensors.map { ($0.name, $0.tensor.shape) }, uniquingKeysWith: { first, _ in first })
        for base in ["model_weights", ""] {
            guard let group = checkpoint.group(base), let names = group.attributes.strings("layer_names") else { continue }
            let version = group.attributes["keras_version"]?.text ?? checkpoint.attributes["keras_version"]?.text
            let layers = try named(names, base: base, in: checkpoint, shapes: shapes)
            let isKeras1 = layers.contains { $0.kind.cell?.isKeras1 == true }
            return (layers, isKeras1 || version != nil ? KerasVersion(version) : KerasVersion(unknown: 2))
        }
        for root in ["layers", "_layer_checkpoint_dependencies"] where checkpoint.group(root) != nil {
            // Keras 3 writes each layer's own name beside its variables; tf_keras doesn't.
            let isKeras3 = checkpoint.groups.contains { $0.path.hasSuffix("/vars") && $0.attributes["name"] != nil }
            return (try sorted(store(root, in: checkpoint), by: order), KerasVersion(isKeras3 ? "3.0.0" : "2.13.0"))
        }
        return nil
    }

    private static func named(
        _ names: [String], base: String, in checkpoint: Checkpoint, shapes: [String: [Int]]
    ) throws -> [KerasStoredLayer] {
        let root = base.isEmpty ? "" : base + "/"
        let groups = Dictionary(checkpoint.groups.map { ($0.path, $0.attributes) }, uniquingKeysWith: { first, _ in first })
        return try names.filter { $0 != "top_level_model_weights" }.map { name in
            guard let weights = groups[root + name]?.strings("weight_names") else {
                throw kerasError("missing-weight", expected: "the group /\(root)\(name) with weight_names", found: "none")
            }
            return KerasStoredLayer(
                name: name,
                weights: try weights.map { weight in
                    guard let shape = shapes["\(root)\(name)/\(weight)"] else {
                        throw kerasError("missing-weight", expected: "the weight \(root)\(name)/\(weight)", found: "nothing")
                    }
                    return (weight, shape)
                })
        }
    }

    /// `layers/<class>[_n]/../vars/<n>`: layers by the names of their groups, forward directions first.
    private static func store(_ root: String, in checkpoint: Checkpoint) -> [KerasStoredLayer] {
        var weights: [String: [(name: String, shape: [Int])]] = [:]
        for entry in checkpoint.tensors {
            let parts = entry.name.split(separator: "/").map(String.init)
            guard parts.count > 3, parts[0] == root, !entry.name.contains("seed_generator/") else { continue }
            weights[parts[1], default: []].append((parts[2...].joined(separator: "/"), entry.tensor.shape))
        }
        let names = checkpoint.groups.compactMap { group -> String? in
            let parts = group.path.split(separator: "/")
            return parts.count == 2 && parts[0] == root ? String(parts[1]) : nil
        }
        return names.map { name in
            let sorted = (weights[name] ?? []).sorted { place($0.name) < place($1.name) }
            return KerasStoredLayer(name: name, weights: sorted)
        }
    }

    private static func place(_ name: String) -> (Int, Int) {
        (name.hasPrefix("backward_layer/") ? 1 : 0, name.split(separator: "/").last.flatMap { Int($0) } ?? 0)
    }

    // MARK: The order of a .weights.h5

    /// HDF5 sorts groups by name, so that layers of one class are in order, but not those of several: their shapes must tell.
    private static func sorted(_ layers: [KerasStoredLayer], by order: String?) throws -> [KerasStoredLayer] {
        if let order {
            let names = order.split(separator: ",").map(String.init)
            guard names.sorted() == layers.map(\.name).sorted() else {
                throw InputError(
                    "--assume order=\(order): the weights hold the layers \(layers.map(\.name).sorted().joined(separator: ", "))")
            }
            return names.compactMap { name in layers.first { $0.name == name } }
        }
        // What does nothing at inference may stand anywhere, and is left out.
        // Recurrent layers before dense ones, as stacks usually are; other orders where that doesn't fit.
        var search = OrderSearch(layers.filter { !$0.isIdle }, isUsual: true)
        search.run()
        if search.found.isEmpty {
            search = OrderSearch(layers.filter { !$0.isIdle }, isUsual: false)
            search.run()
        }
        switch search.found.count {
        case 1: return search.found[0]
        case 0:
            let reasons = layers.compactMap { layer in
                if case .unknown(let reason) = layer.kind { "layer '\(layer.name)' \(reason)" } else { nil }
            }
            throw UnsupportedError(
                "no graph follows from the weights", items: reasons.isEmpty ? ["no order of the layers fits their shapes"] : reasons)
        default:
            throw UnsupportedError(
                "no graph follows from the weights",
                items: [
                    "more than one order of the layers fits their shapes: --assume order=\(search.found[0].map(\.name).joined(separator: ",")), or another"
                ])
        }
    }

    private var isIdle: Bool {
        switch kind {
        case .input: true
        case .weightless(let name): name.hasSuffix("Dropout") || name == "SpatialDropout1D" || name == "GaussianNoise"
        case .embedding, .dense, .recurrent, .bidirectional, .normalization, .unknown: false
        }
    }
}

/// Orders of layers in which each takes what the one before gives; at most two are looked for.
private struct OrderSearch {
    private var queues: [[KerasStoredLayer]]
    private var chain: [KerasStoredLayer] = []
    private let count: Int
    private(set) var found: [[KerasStoredLayer]] = []
    private var steps = 0

    /// Whether nothing that ends the time axis, and no dense layer, stands before a recurrent one.
    private let isUsual: Bool

    init(_ layers: [KerasStoredLayer], isUsual: Bool) {
        self.isUsual = isUsual
        count = layers.count
        // Layers of one class come in the order of their counters.
        let classes = Dictionary(grouping: layers) { layer in layer.counted.base }
        queues = classes.sorted { $0.key < $1.key }.map { $0.value.sorted { $0.counted.number < $1.counted.number } }
    }

    mutating func run() { extend(widths: nil) }

    /// - Parameter widths: of the values so far, whichever merge a Bidirectional has; nil before the first layer that says.
    private mutating func extend(widths: Set<Int>?) {
        steps += 1
        guard found.count < 2, steps < 100_000 else { return }
        if chain.count == count {
            found.append(chain)
            return
        }
        for index in queues.indices {
            guard let layer = queues[index].first else { continue }
            let isFlattened = chain.last.map { $0.kind.className == "Flatten" } ?? false
            if layer.kind.isEmbedding && !chain.isEmpty { continue }
            if isUsual && layer.kind.isRecurrent && chain.contains(where: { $0.kind.endsRecurrence }) { continue }
            if let input = layer.kind.inputWidth, let widths {
                guard isFlattened ? widths.contains(where: { $0 > 0 && input % $0 == 0 }) : widths.contains(input) else { continue }
            }
            queues[index].removeFirst()
            chain.append(layer)
            extend(widths: layer.outputWidths ?? widths)
            chain.removeLast()
            queues[index].insert(layer, at: 0)
        }
    }
}

extension KerasStoredLayer {
    fileprivate var counted: (base: String, number: Int) {
        let parts = name.split(separator: "_")
        guard parts.count > 1, let number = parts.last.flatMap({ Int($0) }) else { return (name, 0) }
        return (parts.dropLast().joined(separator: "_"), number)
    }

    fileprivate var outputWidths: Set<Int>? {
        switch kind {
        case .embedding(_, let size), .normalization(_, let size, _, _): [size]
        case .dense(_, let units, _): [units]
        case .recurrent(let cell): [cell.units]
        case .bidirectional(let cell): [cell.units, 2 * cell.units]
        case .input, .weightless, .unknown: nil
        }
    }
}
