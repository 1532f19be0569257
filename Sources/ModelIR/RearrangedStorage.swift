import ByteIO
import Synchronization

/// A box of elements on its way from a source tensor to its place in another; all counts are of elements.
public struct ElementBox: Sendable {
    /// Index of the source tensor.
    public var source: Int
    public var shape: [Int]
    public var sourceOffset: Int
    public var sourceStrides: [Int]
    public var targetOffset: Int
    public var targetStrides: [Int]

    public init(source: Int, shape: [Int], sourceOffset: Int, sourceStrides: [Int], targetOffset: Int, targetStrides: [Int]) {
        self.source = source
        self.shape = shape
        self.sourceOffset = sourceOffset
        self.sourceStrides = sourceStrides
        self.targetOffset = targetOffset
        self.targetStrides = targetStrides
    }
}

extension Tensor {
    /// A tensor whose elements are those of others in another order, moved when they are read.
    /// - Parameter boxes: fill every element of `shape` once and stay inside their sources, all of one dtype.
    public init(rearranging sources: [Tensor], shape: [Int], boxes: [ElementBox]) {
        let dtype = sources[0].dtype
        let count = shape.reduce(1, *)
        precondition(sources.allSatisfy { $0.dtype == dtype } && boxes.reduce(0) { $0 + $1.shape.reduce(1, *) } == count)
        let (sources, boxes) = composed(sources, boxes)
        if let (source, offset) = unmovedElements(boxes) {
            self = sources[source].elements(from: offset, shape: shape)
        } else {
            self.init(
                dtype: dtype, shape: shape, storage: RearrangedStorage(sources: sources, byteCount: count * dtype.size, boxes: boxes))
        }
    }

    /// Another shape for the same elements.
    /// - Precondition: the number of elements stays.
    public func reshaped(_ shape: [Int]) -> Tensor { Tensor(dtype: dtype, shape: shape, storage: storage) }

    /// `shape`'s elements from element `offset` on, in storage order; lies where this tensor lies.
    public func elements(from offset: Int, shape: [Int]) -> Tensor {
        let byteCount = shape.reduce(1, *) * dtype.size
        precondition(offset >= 0 && byteCount <= self.byteCount - offset * dtype.size)
        if byteCount == self.byteCount { return reshaped(shape) }
        if let region = storage.region?.subregion(offset: UInt64(offset * dtype.size), count: UInt64(byteCount)) {
            return Tensor(dtype: dtype, shape: shape, storage: region)
        }
        return Tensor(dtype: dtype, shape: shape, storage: StorageSlice(base: storage, offset: offset * dtype.size, byteCount: byteCount))
    }
}

/// A range of another storage.
private struct StorageSlice: TensorStorage {
    let base: any TensorStorage
    let offset: Int
    let byteCount: Int
    var region: ByteRegion? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws { try base.read(into: buffer, at: self.offset + offset) }
}

/// Elements of other tensors, moved when they are first read. Where they are read in pieces they are kept until the last byte was read.
final class RearrangedStorage: TensorStorage {
    let byteCount: Int
    let sources: [Tensor]
    let boxes: [ElementBox]
    private let kept = Mutex<[UInt8]?>(nil)
    var region: ByteRegion? { nil }
    var identity: StorageIdentity? { StorageIdentity(owner: self, byteCount: byteCount) }

    init(sources: [Tensor], byteCount: Int, boxes: [ElementBox]) {
        self.sources = sources
        self.byteCount = byteCount
        self.boxes = boxes
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
        if buffer.count == byteCount { return try fill(buffer) }
        try kept.withLock { kept in
            let bytes =
                try kept
                ?? [UInt8](unsafeUninitializedCapacity: byteCount) { all, n in
                    try fill(UnsafeMutableRawBufferPointer(all))
                    n = byteCount
                }
            bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count])) }
            kept = offset + buffer.count == byteCount ? nil : bytes
        }
    }

    private func fill(_ target: UnsafeMutableRawBufferPointer) throws {
        for (index, source) in sources.enumerated() {
            let boxes = boxes.filter { $0.source == index }
            if boxes.isEmpty { continue }
            try ScratchMemory.shared.with(byteCount: source.byteCount) { scratch in
                try source.storage.read(into: scratch, at: 0)
                let raw = UnsafeRawBufferPointer(scratch)
                for box in boxes where !box.shape.contains(0) {
                    switch source.dtype.size {
                    case 1: move(box, from: raw, to: target, as: UInt8.self)
                    case 2: move(box, from: raw, to: target, as: UInt16.self)
                    case 4: move(box, from: raw, to: target, as: UInt32.self)
                    default: move(box, from: raw, to: target, as: UInt64.self)
                    }
                }
            }
        }
    }
}

/// Memory that is used again: touching fresh pages takes longer than moving elements.
private final class ScratchMemory: Sendable {
    static let shared = ScratchMemory()
    /// Larger memory is given back.
    private static let largest = 16 << 20
    private static let capacity = 4

    private struct Block: @unchecked Sendable {
        let bytes: UnsafeMutableRawBufferPointer
    }

    private let free = Mutex<[Block]>([])

    func with<R>(byteCount: Int, _ body: (UnsafeMutableRawBufferPointer) throws -> R) rethrows -> R {
        var block = free.withLock { $0.popLast() } ?? Block(bytes: .allocate(byteCount: byteCount, alignment: 64))
        if block.bytes.count < byteCount {
            block.bytes.deallocate()
            block = Block(bytes: .allocate(byteCount: byteCount, alignment: 64))
        }
        let used = block
        defer {
            let isKept =
                used.bytes.count <= Self.largest
                && free.withLock { blocks in
                    guard blocks.count < Self.capacity else { return false }
                    blocks.append(used)
                    return true
                }
            if !isKept { used.bytes.deallocate() }
        }
        return try body(UnsafeMutableRawBufferPointer(rebasing: used.bytes[0..<byteCount]))
    }
}

/// Copies one box. Where source and target run along different dimensions, as in a transposition, the two are walked in tiles.
private func move<Element: BitwiseCopyable>(
    _ box: ElementBox, from source: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer, as type: Element.Type
) {
    var (sizes, reads, writes) = merged(box)
    // The dimensions along which the target and the source advance least: the two innermost loops.
    func takeSmallest(_ strides: [Int]) -> (size: Int, read: Int, write: Int) {
        guard let axis = strides.indices.min(by: { strides[$0] < strides[$1] }) else { return (1, 0, 0) }
        return (sizes.remove(at: axis), reads.remove(at: axis), writes.remove(at: axis))
    }
    let row = takeSmallest(writes)
    let column = row.read == 1 ? (size: 1, read: 0, write: 0) : takeSmallest(reads)
    let step = MemoryLayout<Element>.stride
    // A tile is as wide as a cache line, and goes through a block of its own: lines whose distance is a multiple of a page displace each other
    // from the cache, so each is touched once.
    let tile = 64 / step
    let block = UnsafeMutablePointer<Element>.allocate(capacity: tile * tile)
    defer { block.deallocate() }
    guard let sourceBase = source.baseAddress, let targetBase = target.baseAddress else { return }
    var counters = [Int](repeating: 0, count: sizes.count)
    var from = box.sourceOffset
    var to = box.targetOffset
    while true {
        if row.read == 1 && row.write == 1 {
            let bytes = UnsafeRawBufferPointer(rebasing: source[from * step..<(from + row.size) * step])
            UnsafeMutableRawBufferPointer(rebasing: target[to * step..<(to + row.size) * step]).copyMemory(from: bytes)
        } else {
            for column0 in stride(from: 0, to: column.size, by: tile) {
                for row0 in stride(from: 0, to: row.size, by: tile) {
                    let (rows, columns) = (min(tile, row.size - row0), min(tile, column.size - column0))
                    let (first, last) = (from + row0 * row.read + column0 * column.read, to + row0 * row.write + column0 * column.write)
                    for i in 0..<rows {
                        let line = sourceBase + (first &+ i &* row.read) &* step
                        for j in 0..<columns {
                            block[j &* tile &+ i] = line.loadUnaligned(fromByteOffset: j &* column.read &* step, as: type)
                        }
                    }
                    for j in 0..<columns {
                        let line = targetBase + (last &+ j &* column.write) &* step
                        for i in 0..<rows { line.storeBytes(of: block[j &* tile &+ i], toByteOffset: i &* row.write &* step, as: type) }
                    }
                }
            }
        }
        var axis = sizes.count - 1
        while axis >= 0 {
            counters[axis] += 1
            from += reads[axis]
            to += writes[axis]
            if counters[axis] < sizes[axis] { break }
            from -= reads[axis] * sizes[axis]
            to -= writes[axis] * sizes[axis]
            counters[axis] = 0
            axis -= 1
        }
        if axis < 0 { return }
    }
}

/// A box with the dimensions joined that both sides lay out as one.
private func merged(_ box: ElementBox) -> (sizes: [Int], reads: [Int], writes: [Int]) {
    var sizes: [Int] = []
    var reads: [Int] = []
    var writes: [Int] = []
    for (axis, size) in box.shape.enumerated() where size != 1 {
        let (read, write) = (box.sourceStrides[axis], box.targetStrides[axis])
        if let last = sizes.indices.last, reads[last] == read * size, writes[last] == write * size {
            sizes[last] *= size
            reads[last] = read
            writes[last] = write
        } else {
            sizes.append(size)
            reads.append(read)
            writes.append(write)
        }
    }
    return (sizes, reads, writes)
}
