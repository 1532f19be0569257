import ByteIO
import FormatKit
import ModelIR

/// One nn.RNN, nn.LSTM or nn.GRU of a state dict, with its sizes as the shapes tell them.
struct PyTorchRNNModule: Sendable {
    /// Before every name, with its dot; empty for a module's own state dict.
    let prefix: String
    let gates: Int
    let inputs: Int
    let units: Int
    let layerCount: Int
    let isBidirectional: Bool
    let hasBias: Bool

    var outputs: Int { units * (isBidirectional ? 2 : 1) }

    /// For messages: `nn.LSTM 'encoder'`.
    var description: String {
        let name = PyTorchRNNTable.moduleName[gates] ?? "module"
        return prefix.isEmpty ? name : "\(name) '\(prefix.dropLast())'"
    }

    /// Names of its tensors for one layer and direction, by the table's rows.
    func names(_ row: PyTorchRNNTable.Row, layer: Int, isReverse: Bool) -> [String] {
        row.parts.map { prefix + PyTorchRNNTable.name($0, layer: layer, isReverse: isReverse) }
    }

    /// A layer's canonical name: `lstm_l0`.
    func layerName(_ layer: Int) -> String { String(prefix.map { $0 == "." || $0 == "/" ? "_" : $0 }) + "l\(layer)" }

    var rows: [PyTorchRNNTable.Row] { PyTorchRNNTable.rows(gates: gates, units: units, hasBias: hasBias) }

    /// The modules of a checkpoint in the order of their first tensors.
    /// - Throws: `UnsupportedError` for projections, `FormatError` for tensors that don't fit each other.
    static func all(in checkpoint: Checkpoint) throws -> [PyTorchRNNModule] {
        var prefixes: [String] = []
        var tensors: [String: [String: [Int]]] = [:]
        for entry in checkpoint.tensors {
            guard let parsed = PyTorchRNNTable.parse(entry.name) else { continue }
            if tensors[parsed.prefix] == nil { prefixes.append(parsed.prefix) }
            tensors[parsed.prefix, default: [:]][String(entry.name.dropFirst(parsed.prefix.count))] = entry.tensor.shape
        }
        // A lone tensor of such a name is some other module's.
        return try prefixes.filter { tensors[$0]?["weight_ih_l0"]?.count == 2 && tensors[$0]?["weight_hh_l0"]?.count == 2 }
            .map { try PyTorchRNNModule(prefix: $0, shapes: tensors[$0] ?? [:]) }
    }

    private init(prefix: String, shapes: [String: [Int]]) throws {
        func shape(_ name: String) throws -> [Int] {
            guard let shape = shapes[name] else {
                throw FormatError("pytorch", "missing-weight", expected: "the tensor \(prefix)\(name)", found: "nothing")
            }
            return shape
        }
        if let projection = shapes.keys.filter({ $0.hasPrefix("weight_hr") }).min() {
            throw UnsupportedError(
                "\(prefix)\(projection): an nn.LSTM with projections (proj_size) has no counterpart among the layers of Keras")
        }
        let (input, hidden) = (try shape("weight_ih_l0"), try shape("weight_hh_l0"))
        guard hidden[1] > 0, hidden[0] % hidden[1] == 0, let name = PyTorchRNNTable.moduleName[hidden[0] / hidden[1]] else {
            throw FormatError(
                "pytorch", "weight-shape-mismatch", expected: "1, 3 or 4 gates in \(prefix)weight_hh_l0", found: "the shape \(hidden)")
        }
        self.prefix = prefix
        gates = hidden[0] / hidden[1]
        units = hidden[1]
        inputs = input[1]
        isBidirectional = shapes["weight_ih_l0_reverse"] != nil
        hasBias = shapes["bias_ih_l0"] != nil
        layerCount = (shapes.keys.compactMap { PyTorchRNNTable.parse($0)?.layer }.max() ?? 0) + 1
        guard layerCount <= shapes.count else {
            throw FormatError("pytorch", "missing-weight", expected: "layers of \(name) without gaps", found: "a layer \(layerCount - 1)")
        }
        var expected = 0
        for layer in 0..<layerCount {
            for isReverse in isBidirectional ? [false, true] : [false] {
                let width = layer == 0 ? inputs : units * (isBidirectional ? 2 : 1)
                var wanted = [("weight_ih", [gates * units, width]), ("weight_hh", [gates * units, units])]
                if hasBias { wanted += [("bias_ih", [gates * units]), ("bias_hh", [gates * units])] }
                for (part, size) in wanted {
                    let name = PyTorchRNNTable.name(part, layer: layer, isReverse: isReverse)
                    let found = try shape(name)
                    guard found == size else {
                        throw FormatError(
                            "pytorch", "weight-shape-mismatch", expected: "the shape \(size) of \(prefix)\(name)", found: "\(found)")
                    }
                }
                expected += wanted.count
            }
        }
        guard expected == shapes.count else {
            throw FormatError(
                "pytorch", "extra-weight", expected: "\(expected) tensors of \(name) under '\(prefix)'", found: "\(shapes.count)")
        }
    }

    /// A module to be written.
    init(prefix: String, gates: Int, inputs: Int, units: Int, layerCount: Int, isBidirectional: Bool, hasBias: Bool) {
        self.prefix = prefix
        self.gates = gates
        self.inputs = inputs
        self.units = units
        self.layerCount = layerCount
        self.isBidirectional = isBidirectional
        self.hasBias = hasBias
    }

    /// The one order in which each module takes what the one before gives.
    /// - Throws: `UnsupportedError` where there is none, or more than one.
    static func chained(_ modules: [PyTorchRNNModule]) throws -> [PyTorchRNNModule] {
        guard modules.count > 1 else { return modules }
        var found: [[PyTorchRNNModule]] = []
        func extend(_ chain: [PyTorchRNNModule], _ rest: [PyTorchRNNModule]) {
            guard found.count < 2 else { return }
            if rest.isEmpty { found.append(chain) }
            for (i, next) in rest.enumerated() where chain.last.map({ $0.outputs == next.inputs }) ?? true {
                extend(chain + [next], Array(rest[..<i] + rest[(i + 1)...]))
            }
        }
        if modules.count <= 8 { extend([], modules) }
        let names = modules.map(\.description)
        guard let chain = found.first else {
            throw UnsupportedError("the file holds several recurrent modules, and their sizes don't form a chain", items: names)
        }
        guard found.count == 1 else {
            throw UnsupportedError("the file holds several recurrent modules, and their sizes leave their order open", items: names)
        }
        return chain
    }
}
