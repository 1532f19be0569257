import ByteIO
import ModelIR

/// The stack machine of pickles, over values that do nothing. Rules P4 to P10 of SPEC.md.
struct PickleMachine {
    var input: PickleInput
    let limits: Limits
    var heap = PickleHeap()
    private(set) var storages: [TorchStorage] = []
    private(set) var tensors: [TorchTensor] = []

    private var stack: [PickleValue] = []
    /// Heights of the stack at open marks.
    private var marks: [Int] = []
    private var memo: [UInt64: PickleValue] = [:]
    private var storageNumbers: [String: Int] = [:]

    /// Containers for each object that a file may have: a tensor takes about six.
    private static let containersPerObject = 8

    init(_ input: PickleInput, limits: Limits) {
        self.input = input
        self.limits = limits
    }

    /// Runs one pickle to its end; storages and containers of those before it stay.
    mutating func run() throws -> PickleValue {
        stack = []
        marks = []
        memo = [:]
        while true {
            let position = input.fileOffset
            let byte = try input.byte()
            guard let opcode = PickleOpcode(rawValue: byte) else {
                throw torchError("bad-opcode", "P4", at: position, found: "0x\(String(byte, radix: 16))")
            }
            if opcode == .stop { break }
            try execute(opcode)
            guard stack.count <= limits.objectCount else { throw error("too-large", "P6", expected: "a lower stack") }
            try checkHeap()
        }
        guard marks.isEmpty, stack.count == 1, let value = stack.popLast() else {
            throw error("bad-stack", "P5", expected: "one value at the end", found: "\(stack.count), and \(marks.count) marks")
        }
        return value
    }

    func checkHeap() throws {
        let limit = limits.objectCount * Self.containersPerObject
        guard heap.count <= limit else { throw error("too-large", "P6", expected: "at most \(limit) containers") }
    }

    func error(_ code: FormatError.Code, _ rule: String, expected: String? = nil, found: String? = nil) -> FormatError {
        torchError(code, rule, at: input.fileOffset, expected: expected, found: found)
    }

    // MARK: Stack

    mutating func push(_ value: PickleValue) { stack.append(value) }

    mutating func pop() throws -> PickleValue {
        guard stack.count > (marks.last ?? 0), let value = stack.popLast() else {
            throw error("bad-stack", "P5", expected: "a value", found: "none above the last mark")
        }
        return value
    }

    private func top() throws -> PickleValue {
        guard stack.count > (marks.last ?? 0), let value = stack.last else {
            throw error("bad-stack", "P5", expected: "a value", found: "none above the last mark")
        }
        return value
    }

    /// Everything above the last mark, which is taken away.
    private mutating func popMark() throws -> ArraySlice<PickleValue> {
        guard let height = marks.popLast() else { throw error("bad-stack", "P5", expected: "a mark", found: "none") }
        defer { stack.removeSubrange(height...) }
        return stack[height...]
    }

    private mutating func openMark() throws {
        guard marks.count < limits.depth else { throw error("too-deep", "P6", expected: "at most \(limits.depth) marks") }
        marks.append(stack.count)
    }

    // MARK: Execution

    private mutating func execute(_ opcode: PickleOpcode) throws {
        switch opcode {
        case .stop: break
        case .proto:
            let version = try input.byte()
            guard version <= 5 else { throw error("bad-protocol", "P4", expected: "0 to 5", found: "\(version)") }
        // A frame is a hint for readers that read ahead.
        case .frame: _ = try input.integer(UInt64.self)

        case .mark: try openMark()
        // POP also takes a mark that lies on top.
        case .pop: if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
        case .popMark: _ = try popMark()
        case .dup: push(try top())

        case .none: push(.none)
        case .newTrue: push(.bool(true))
        case .newFalse: push(.bool(false))
        case .binInt: push(.int(Int64(Int32(bitPattern: try input.integer()))))
        case .binInt1: push(.int(Int64(try input.byte())))
        case .binInt2: push(.int(Int64(try input.integer(UInt16.self))))
        case .binFloat: push(.double(Double(bitPattern: UInt64(try input.integer(UInt64.self)).byteSwapped)))
        case .int: push(try intLine())
        case .long: push(try longLine())
        case .float: push(try floatLine())
        case .long1: push(longInteger(try input.take(UInt64(try input.byte()))))
        case .long4: push(longInteger(try input.take(try signedCount())))

        case .binUnicode: push(.text(try text(try input.take(UInt64(try input.integer(UInt32.self))))))
        case .shortBinUnicode: push(.text(try text(try input.take(UInt64(try input.byte())))))
        case .binUnicode8: push(.text(try text(try input.take(try input.integer()))))
        case .unicode: push(try unicodeLine())
        // Python 2's str is what names are made of there.
        case .binString: push(.text(try text(try input.take(try signedCount()))))
        case .shortBinString: push(.text(try text(try input.take(UInt64(try input.byte())))))
        case .string: push(try stringLine())
        case .binBytes: push(.bytes(try input.take(UInt64(try input.integer(UInt32.self)))))
        case .shortBinBytes: push(.bytes(try input.take(UInt64(try input.byte()))))
        case .binBytes8, .byteArray8: push(.bytes(try input.take(try input.integer())))

        case .emptyTuple: push(.tuple(heap.addSequence([])))
        case .tuple1: try pushTuple(1)
        case .tuple2: try pushTuple(2)
        case .tuple3: try pushTuple(3)
        case .tuple: push(.tuple(heap.addSequence(Array(try popMark()))))
        case .emptyList: push(.list(heap.addSequence([])))
        case .list: push(.list(heap.addSequence(Array(try popMark()))))
        case .emptySet: push(.set(heap.addSequence([])))
        case .frozenSet: push(.set(heap.addSequence(Array(try popMark()))))
        case .emptyDict: push(.dict(heap.addDictionary([])))
        case .dict:
            let dictionary = heap.addDictionary([])
            try setItems(Array(try popMark()), in: dictionary)
            push(.dict(dictionary))
        case .append:
            let value = try pop()
            heap.append([value], to: try topList())
        case .appends:
            let values = Array(try popMark())
            heap.append(values, to: try topList())
        case .addItems:
            let values = Array(try popMark())
            guard case .set(let set) = try top() else { throw operand("a set") }
            heap.append(values, to: set)
        case .setItem:
            let (value, key) = (try pop(), try pop())
            try setItems([key, value], in: try topDictionary())
        case .setItems:
            let items = Array(try popMark())
            try setItems(items, in: try topDictionary())

        case .put: memo[try memoLine()] = try top()
        case .binPut: memo[UInt64(try input.byte())] = try top()
        case .longBinPut: memo[UInt64(try input.integer(UInt32.self))] = try top()
        case .memoize: memo[UInt64(memo.count)] = try top()
        case .get: push(try remembered(try memoLine()))
        case .binGet: push(try remembered(UInt64(try input.byte())))
        case .longBinGet: push(try remembered(UInt64(try input.integer(UInt32.self))))

        case .global: push(.global(try globalLines()))
        case .stackGlobal:
            guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
                throw operand("a global's module and name as text")
            }
            push(.global(try global(module: module, name: name)))
        case .reduce, .newObj:
            let arguments = try pop()
            let callee = try pop()
            guard case .tuple(let tuple) = arguments, case .global(let global) = callee else { throw operand("a global and a tuple") }
            push(try call(global, heap.sequences[tuple]))
        case .build:
            let state = try pop()
            push(try built(try pop(), state: state))
        case .binPersID: push(.storage(try persistentStorage(try pop())))

        case .persID, .inst, .obj, .newObjEx, .ext1, .ext2, .ext4, .nextBuffer, .readOnlyBuffer:
            throw error("forbidden-opcode", "P4", found: "\(opcode)")
        }
    }

    func operand(_ expected: String) -> FormatError { error("bad-operand", "P5", expected: expected, found: "another kind of value") }

    private mutating func pushTuple(_ count: Int) throws {
        var elements: [PickleValue] = []
        for _ in 0..<count { elements.append(try pop()) }
        push(.tuple(heap.addSequence(elements.reversed())))
    }

    private func topList() throws -> Int {
        guard case .list(let list) = try top() else { throw operand("a list") }
        return list
    }

    private func topDictionary() throws -> Int {
        guard case .dict(let dictionary) = try top() else { throw operand("a dictionary") }
        return dictionary
    }

    private mutating func setItems(_ items: [PickleValue], in dictionary: Int) throws {
        guard items.count % 2 == 0 else { throw operand("a value for every key") }
        for i in stride(from: 0, to: items.count, by: 2) { heap.set(items[i + 1], for: items[i], in: dictionary) }
    }

    private func remembered(_ index: UInt64) throws -> PickleValue {
        guard let value = memo[index] else { throw error("bad-memo", "P7", expected: "an entry \(index)", found: "none") }
        return value
    }

    // MARK: Storages and tensors

    /// The number of a storage, which every mention of its key must describe the same.
    mutating func number(ofStorage storage: TorchStorage) throws -> Int {
        if let known = storageNumbers[storage.key] {
            guard storages[known].dtype == storage.dtype, storages[known].byteCount == storage.byteCount else {
                throw error("storage-conflict", "P10", expected: "one type and size for the storage `\(storage.key)`", found: "two")
            }
            return known
        }
        storages.append(storage)
        storageNumbers[storage.key] = storages.count - 1
        return storages.count - 1
    }

    mutating func add(_ tensor: TorchTensor) throws -> PickleValue {
        guard tensors.count < limits.objectCount else { throw error("too-large", "P6", expected: "at most \(limits.objectCount) tensors") }
        tensors.append(tensor)
        return .tensor(tensors.count - 1)
    }
}
