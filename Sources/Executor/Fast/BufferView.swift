import ByteIO
import Glibc
import ModelIR
import Synchronization

/// How the fast backend stores an element.
enum StorageKind: Hashable, Sendable {
    /// f32, for every float dtype.
    case float
    /// i64, for every integer dtype.
    case integer
    /// One byte, 0 or 1.
    case bool

    init(_ dtype: DType) { self = dtype.isFloat ? .float : dtype == .bool ? .bool : .integer }

    /// Bytes of one element.
    var size: Int {
        switch self {
        case .float: 4
        case .integer: 8
        case .bool: 1
        }
    }
}

/// Memory aligned to a cache line, freed with its last view.
final class Allocation {
    let pointer: UnsafeMutableRawPointer
    let byteCount: Int
    /// What it is a part of.
    private let whole: Allocation?

    private static let hugePage = 2 << 20

    init(byteCount: Int) {
        self.byteCount = byteCount
        whole = nil
        // 64 more than asked, so that a vector that starts at the last element stays inside.
        let size = byteCount + 64
        let isLarge = size >= Self.hugePage
        pointer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: isLarge ? Self.hugePage : 64)
        // Weights are walked through once a pass: with small pages the table of pages would not stay in cache. Only a hint.
        if isLarge { madvise(pointer, size / Self.hugePage * Self.hugePage, MADV_HUGEPAGE) }
    }

    /// A part of another one, which it keeps.
    init(_ range: Range<Int>, of whole: Allocation) {
        byteCount = range.count
        pointer = whole.pointer + range.lowerBound
        self.whole = whole
    }

    deinit {
        if whole == nil { pointer.deallocate() }
    }
}

/// A value's elements in memory: at a fixed place, so that kernels are prepared once with their pointers.
struct BufferView {
    let pointer: UnsafeMutableRawPointer
    let type: ConcreteType
    /// Written before any run and never again: a parameter, or what is computed from parameters alone.
    let isConstant: Bool
    /// Keeps the memory alive as long as a kernel holds the view.
    let owner: AnyObject

    var kind: StorageKind { StorageKind(type.dtype) }
    var shape: [Int] { type.shape }
    var count: Int { type.count }
    var byteCount: Int { count * kind.size }
    var floats: UnsafeMutablePointer<Float> { pointer.assumingMemoryBound(to: Float.self) }
    var integers: UnsafeMutablePointer<Int64> { pointer.assumingMemoryBound(to: Int64.self) }
    var flags: UnsafeMutablePointer<UInt8> { pointer.assumingMemoryBound(to: UInt8.self) }

    /// Gives memory back that was mapped from a file, until it is used again.
    func releaseMapping() { (owner as? ByteStore)?.release(UnsafeRawBufferPointer(start: pointer, count: byteCount)) }

    /// Brings some elements of a parameter into place that isn't there whole.
    func fill(_ elements: Range<Int>) throws { try (owner as? PassingParameter)?.fill(elements) }

    /// Gives the memory of some elements of a parameter back, until they are used again.
    func release(_ elements: Range<Int>) {
        (owner as? PassingParameter)?.drop(elements)
        (owner as? ByteStore)?.release(UnsafeRawBufferPointer(start: floats + elements.lowerBound, count: elements.count * 4))
    }

    /// New memory for a value.
    init(allocating type: ConcreteType, isConstant: Bool) {
        let allocation = Allocation(byteCount: type.count * StorageKind(type.dtype).size)
        self.init(pointer: allocation.pointer, type: type, isConstant: isConstant, owner: allocation)
    }

    init(pointer: UnsafeMutableRawPointer, type: ConcreteType, isConstant: Bool, owner: AnyObject) {
        self.pointer = pointer
        self.type = type
        self.isConstant = isConstant
        self.owner = owner
    }

    /// The view in the pass that is running, of a value whose memory changes from pass to pass.
    var current: BufferView {
        guard let slot = owner as? OutputSlot else { return self }
        return BufferView(pointer: slot.pointer, type: type, isConstant: isConstant, owner: owner)
    }

    /// The same elements under another shape.
    func viewed(as type: ConcreteType) -> BufferView {
        BufferView(pointer: pointer, type: type, isConstant: isConstant, owner: owner)
    }
}

// MARK: - To and from the reference backend's arrays and tensors

extension BufferView {
    func referenceArray() -> ReferenceArray {
        switch kind {
        case .float: ReferenceArray(type, UnsafeBufferPointer(start: floats, count: count).map { Double($0) })
        case .integer: ReferenceArray(type, Array(UnsafeBufferPointer(start: integers, count: count)))
        case .bool: ReferenceArray(type, UnsafeBufferPointer(start: flags, count: count).map { Int64($0) })
        }
    }

    func store(_ array: ReferenceArray) {
        switch array.elements {
        case .real(let values): for (i, value) in values.enumerated() { floats[i] = Float(value) }
        case .integer(let values):
            if kind == .bool {
                for (i, value) in values.enumerated() { flags[i] = value == 0 ? 0 : 1 }
            } else {
                for (i, value) in values.enumerated() { integers[i] = value }
            }
        }
    }

    /// Bytes from which on an input is copied by all threads.
    private static let largeInput = 1 << 18

    /// A user's tensor, whose dtype and elements have been checked; what is large is copied by all threads.
    func store(input tensor: Tensor, name: String, _ team: ThreadTeam) throws {
        if kind == .float && tensor.dtype == .f32 {
            func copy(_ bytes: Range<Int>) throws {
                let place = UnsafeMutableRawBufferPointer(start: pointer + bytes.lowerBound, count: bytes.count)
                try tensor.storage.read(into: place, at: bytes.lowerBound)
            }
            guard byteCount >= Self.largeInput else { return try copy(0..<byteCount) }
            let failure = Mutex<(any Error)?>(nil)
            team.split(byteCount, multiple: 4_096) { bytes in
                do { try copy(bytes) } catch { failure.withLock { $0 = error } }
            }
            if let error = failure.withLock({ $0 }) { throw error }
        } else {
            store(try ReferenceArray(input: name, tensor, type))
        }
    }

    /// The tensor of an output: f32, or the graph's own dtype for integers and bool.
    func outputTensor() -> Tensor {
        switch kind {
        case .float: Tensor(Array(UnsafeBufferPointer(start: floats, count: count)), shape: shape)
        case .integer: integerTensor(Array(UnsafeBufferPointer(start: integers, count: count)), type)
        case .bool: Tensor(dtype: .bool, shape: shape, bytes: Array(UnsafeBufferPointer(start: flags, count: count)))
        }
    }

    /// The tensor of a captured value: f32, i64 or bool.
    func capturedTensor() -> Tensor {
        kind == .integer ? Tensor(Array(UnsafeBufferPointer(start: integers, count: count)), shape: shape) : outputTensor()
    }
}
