import ByteIO
import FormatKit
import ModelIR

/// Makes a checkpoint of the object in a file: which tensors are the model's, what they are called, what else there is.
struct StateDictReader {
    let machine: PickleMachine
    let regions: [ByteRegion]
    let limits: Limits

    private var rows: [(name: String, tensor: TorchTensor)] = []
    private var names: Set<String> = []
    private var groups: [Checkpoint.Group] = [.init(path: "")]
    private var groupNumbers: [String: Int] = ["": 0]
    private var attributeCount = 0
    /// Whether containers hold tensors, by their numbers; filled by `holdsTensors(_:)`.
    private var sequenceStates: [ContainerState]
    private var dictionaryStates: [ContainerState]
    private var containerKey: String?

    private enum ContainerState { case unknown, visiting, without, with }

    /// Where training scripts put a state dict beside other things.
    private static let containerKeys = ["state_dict", "model_state_dict", "model"]

    init(machine: PickleMachine, regions: [ByteRegion], limits: Limits) {
        self.machine = machine
        self.regions = regions
        self.limits = limits
        sequenceStates = Array(repeating: .unknown, count: machine.heap.sequences.count)
        dictionaryStates = Array(repeating: .unknown, count: machine.heap.dictionaries.count)
    }

    /// A step from the object to a tensor, and how names say so.
    private struct Path {
        var components: [String] = []
        var separator: String

        func appending(_ component: String) -> Path { Path(components: components + [component], separator: separator) }
        var name: String { components.joined(separator: separator) }
    }

    // MARK: The object

    mutating func read(_ value: PickleValue, fileByteCount: UInt64) throws {
        _ = try holdsTensors(value, depth: 0)
        switch value {
        case .tensor: try walk(value, Path(components: ["tensor"], separator: "."))
        case .dict(let number): try readRoot(try entries(of: number))
        default:
            guard try holdsTensors(value, depth: 0) else {
                throw UnsupportedError("holds no tensors, but \(value.kind)")
            }
            try walk(value, Path(separator: "."))
        }
        var declared: UInt64 = 0
        for row in rows {
            let byteCount = row.tensor.shape.reduce(UInt64(row.tensor.dtype.size)) { $0 &* UInt64($1) }
            let (sum, overflow) = declared.addingReportingOverflow(byteCount)
            declared = sum
            guard !overflow, !limits.isShapeBomb(declared: declared, stored: fileByteCount) else {
                throw torchError(
                    "shape-bomb", "P12", at: row.tensor.position, expected: "tensors that the file could hold",
                    found: "more than \(declared) bytes out of \(fileByteCount)")
            }
        }
    }

    private mutating func readRoot(_ entries: [(key: String, value: PickleValue)]) throws {
        let keys = Set(entries.map(\.key))
        if keys.isSuperset(of: ["state", "param_groups"]) {
            for (key, value) in entries { try walk(value, Path(components: ["optimizer", key], separator: "/")) }
            return
        }
        containerKey = try Self.containerKeys.first { key in
            guard let value = entries.first(where: { $0.key == key })?.value, case .dict = value else { return false }
            return try holdsTensors(value, depth: 0)
        }
        guard let containerKey else {
            for (key, value) in entries { try readOther(key, value, separator: ".") }
            return
        }
        for (key, value) in entries {
            if key == containerKey { try walk(value, Path(separator: ".")) } else { try readOther(key, value, separator: "/") }
        }
    }

    private mutating func readOther(_ key: String, _ value: PickleValue, separator: String) throws {
        // A layer may be called so too; an optimizer's state is nested.
        if key.lowercased().hasPrefix("optim"), isContainer(value) {
            let isUsual = key == "optimizer" || key == "optimizer_state_dict" && groupNumbers["optimizer"] == nil
            try walk(value, Path(components: isUsual ? ["optimizer"] : ["optimizer", key], separator: "/"))
        } else {
            try walk(value, Path(components: [key], separator: separator))
        }
    }

    private func isContainer(_ value: PickleValue) -> Bool {
        switch value {
        case .dict, .list, .tuple: true
        default: false
        }
    }

    private mutating func walk(_ value: PickleValue, _ path: Path) throws {
        if case .tensor(let number) = value { return try add(machine.tensors[number], path) }
        guard try holdsTensors(value, depth: path.components.count) else { return try addAttribute(value, path) }
        switch value {
        case .dict(let number): for (key, value) in try entries(of: number) { try walk(value, path.appending(key)) }
        case .list(let number), .tuple(let number), .set(let number):
            for (i, element) in machine.heap.sequences[number].enumerated() { try walk(element, path.appending("\(i)")) }
        default: break
        }
    }

    /// Keys as components of names.
    private func entries(of dictionary: Int) throws -> [(key: String, value: PickleValue)] {
        try machine.heap.dictionaries[dictionary].map { key, value in
            switch key {
            case .text(let text): return (text, value)
            case .int(let int): return ("\(int)", value)
            default: throw torchError("bad-key", "P13", expected: "text or an integer as a key", found: key.kind)
            }
        }
    }

    private mutating func add(_ tensor: TorchTensor, _ path: Path) throws {
        let name = path.name
        guard rows.count < limits.objectCount, name.utf8.count <= limits.nameByteCount else {
            throw torchError("too-large", "P6", at: tensor.position, expected: "fewer tensors with shorter names")
        }
        guard names.insert(name).inserted else {
            throw torchError("duplicate-name", "P13", at: tensor.position, expected: "one tensor `\(name)`", found: "two")
        }
        rows.append((name, tensor))
    }

    private mutating func addAttribute(_ value: PickleValue, _ path: Path) throws {
        attributeCount += 1
        guard attributeCount <= limits.objectCount else { throw torchError("too-large", "P6", expected: "fewer entries") }
        let converted = try PickleAttributes(machine: machine, limits: limits).attribute(value)
        guard path.separator == "/" else {
            groups[0].attributes.append(Attribute(path.name, converted))
            return
        }
        // The group that it is in, after those that it is in.
        var number = 0
        for end in path.components.indices.dropFirst() {
            let group = path.components[..<end].joined(separator: "/")
            if let known = groupNumbers[group] {
                number = known
            } else {
                groups.append(.init(path: group))
                number = groups.count - 1
                groupNumbers[group] = number
            }
        }
        groups[number].attributes.append(Attribute(path.components.last ?? "", converted))
    }

    /// Whether there is a tensor anywhere inside.
    /// - Throws: `FormatError` where a container holds itself, or past the limit on depth.
    private mutating func holdsTensors(_ value: PickleValue, depth: Int) throws -> Bool {
        let state: ContainerState
        var children: [PickleValue] = []
        switch value {
        case .tensor: return true
        case .dict(let number):
            state = dictionaryStates[number]
            if state == .unknown {
                dictionaryStates[number] = .visiting
                children = machine.heap.dictionaries[number].flatMap { [$0.key, $0.value] }
            }
        case .list(let number), .tuple(let number), .set(let number):
            state = sequenceStates[number]
            if state == .unknown {
                sequenceStates[number] = .visiting
                children = machine.heap.sequences[number]
            }
        default: return false
        }
        switch state {
        case .visiting: throw torchError("cyclic-object", "P13", expected: "containers without themselves inside")
        case .with: return true
        case .without: return false
        case .unknown: break
        }
        guard depth < limits.depth else { throw torchError("too-deep", "P6", expected: "at most \(limits.depth) levels") }
        var result = false
        for child in children where try holdsTensors(child, depth: depth + 1) { result = true }
        switch value {
        case .dict(let number): dictionaryStates[number] = result ? .with : .without
        case .list(let number), .tuple(let number), .set(let number): sequenceStates[number] = result ? .with : .without
        default: break
        }
        return result
    }

    // MARK: The checkpoint

    /// Elements of a storage as tensors of one file share them.
    private struct Place: Hashable {
        var storage: Int
        var offset: UInt64
        var dtype: DType
        var shape: [Int]
        var strides: [Int]

        init(_ tensor: TorchTensor) {
            storage = tensor.view.storage
            offset = tensor.view.offset + tensor.offset * UInt64(tensor.dtype.size)
            dtype = tensor.dtype
            shape = tensor.shape
            strides = zip(tensor.shape, tensor.strides).map { $0 == 1 ? 0 : $1 }
        }
    }

    func checkpoint(detail: String) -> Checkpoint {
        var checkpoint = Checkpoint(format: PyTorchFormat.name, formatDetail: detail, groups: groups)
        if let containerKey { checkpoint.formatDetail += ", model under \(containerKey)" }
        checkpoint.tensors = rows.map { Checkpoint.Entry(name: $0.name, tensor: tensor($0.tensor)) }
        var tied: [Place: Int] = [:]
        var ties: [[String]] = []
        // Tensors without elements have no place that they could share.
        for row in rows where !row.tensor.shape.contains(0) {
            let place = Place(row.tensor)
            if let number = tied[place] {
                ties[number].append(row.name)
            } else {
                tied[place] = ties.count
                ties.append([row.name])
            }
        }
        checkpoint.ties = ties.filter { $0.count > 1 }.map { Checkpoint.Tie(names: $0) }
        return checkpoint
    }

    /// - Precondition: the tensor lies inside its storage, and that in the file: both were checked.
    private func tensor(_ tensor: TorchTensor) -> Tensor {
        if tensor.shape.contains(0) { return Tensor(dtype: tensor.dtype, shape: tensor.shape, bytes: []) }
        let size = tensor.dtype.size
        let last = zip(tensor.shape, tensor.strides).reduce(0) { $0 + ($1.0 - 1) * $1.1 }
        let offset = tensor.view.offset + tensor.offset * UInt64(size)
        let region = regions[tensor.view.storage].subregion(offset: offset, count: UInt64((last + 1) * size))
        let base = Tensor(dtype: tensor.dtype, shape: [last + 1], storage: region ?? ByteRegion(bytes: []))
        if tensor.isContiguous { return base.reshaped(tensor.shape) }
        var targetStrides = tensor.shape
        var step = 1
        for axis in tensor.shape.indices.reversed() {
            targetStrides[axis] = step
            step *= tensor.shape[axis]
        }
        let box = ElementBox(
            source: 0, shape: tensor.shape, sourceOffset: 0, sourceStrides: tensor.strides, targetOffset: 0, targetStrides: targetStrides)
        return Tensor(rearranging: [base], shape: tensor.shape, boxes: [box])
    }
}
