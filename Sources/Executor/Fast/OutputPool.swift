import ByteIO
import ModelIR
import Synchronization

/// Memory for the outputs of one run after the other: it comes back when a tensor goes, since touching fresh pages costs more than copying.
final class OutputPool: Sendable {
    /// Handed from owner to owner, never shared.
    fileprivate struct Block: @unchecked Sendable {
        let allocation: Allocation
    }

    fileprivate final class Storage: TensorStorage, Sendable {
        let byteCount: Int
        fileprivate let block: Block
        private let pool: OutputPool

        init(_ block: Block, _ byteCount: Int, _ pool: OutputPool) { (self.block, self.byteCount, self.pool) = (block, byteCount, pool) }

        deinit { pool.give(block) }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
            guard let target = buffer.baseAddress else { return }
            target.copyMemory(from: block.allocation.pointer + offset, byteCount: buffer.count)
        }

        var region: ByteRegion? { nil }
    }

    /// Memory that nobody writes any more.
    private final class Kept: TensorStorage, @unchecked Sendable {
        private let view: BufferView

        init(_ view: BufferView) { self.view = view }

        var byteCount: Int { view.byteCount }
        var region: ByteRegion? { nil }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
            guard let target = buffer.baseAddress else { return }
            target.copyMemory(from: view.pointer + offset, byteCount: buffer.count)
        }
    }

    /// An output of floats where it lies, which it keeps alive; for memory that isn't written again.
    static func kept(_ view: BufferView) -> Tensor {
        guard view.kind == .float, view.byteCount >= smallest else { return view.outputTensor() }
        return Tensor(dtype: .f32, shape: view.shape, storage: Kept(view))
    }

    /// Blocks kept at most.
    private static let capacity = 8
    /// Outputs below this are plain arrays.
    static let smallest = 1 << 16

    private let free = Mutex<[Block]>([])

    private func give(_ block: Block) {
        free.withLock { if $0.count < Self.capacity { $0.append(block) } }
    }

    fileprivate func storage(_ byteCount: Int) -> Storage { Storage(take(byteCount), byteCount, self) }

    private func take(_ byteCount: Int) -> Block {
        let known = free.withLock { blocks in
            blocks.firstIndex { $0.allocation.byteCount == byteCount }.map { blocks.remove(at: $0) }
        }
        return known ?? Block(allocation: Allocation(byteCount: byteCount))
    }

    /// A copy of an output of floats; `outputTensor` for all others.
    func tensor(_ view: BufferView, _ team: ThreadTeam) -> Tensor {
        if let slot = view.owner as? OutputSlot { return slot.tensor(shape: view.shape) }
        guard view.kind == .float, view.byteCount >= Self.smallest else { return view.outputTensor() }
        let block = take(view.byteCount)
        team.split(view.count, multiple: 16) {
            block.allocation.pointer.advanced(by: $0.lowerBound * 4).copyMemory(
                from: view.pointer + $0.lowerBound * 4, byteCount: $0.count * 4)
        }
        return Tensor(dtype: .f32, shape: view.shape, storage: Storage(block, view.byteCount, self))
    }
}

/// Memory of an output of floats that goes out as a tensor: what makes it writes there, and nothing is copied.
final class OutputSlot {
    private let pool: OutputPool
    private var storage: OutputPool.Storage

    init(_ pool: OutputPool, byteCount: Int) {
        self.pool = pool
        storage = pool.storage(byteCount)
    }

    var pointer: UnsafeMutableRawPointer { storage.block.allocation.pointer }

    /// Memory for a pass: other memory than before where a tensor still has that.
    func renewed() -> UnsafeMutableRawPointer {
        if !isKnownUniquelyReferenced(&storage) { storage = pool.storage(storage.byteCount) }
        return pointer
    }

    func tensor(shape: [Int]) -> Tensor { Tensor(dtype: .f32, shape: shape, storage: storage) }
}
