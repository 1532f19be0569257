import CKernels
import ModelIR

/// A `longformer_attention` node with everything at its place.
final class LongformerRun {
    /// Some tokens of a batch row that attend to their windows, or some global ones.
    private struct Piece {
        var batch: Int
        var isGlobal: Bool
        var queries: Range<Int>
    }

    /// A batch row's lists, in the work space.
    struct Lists {
        /// Tokens that count and aren't global: the queries and the keys of windows.
        let local: UnsafeMutablePointer<Int32>
        let ranges: UnsafeMutablePointer<Int32>
        let globals: UnsafeMutablePointer<Int32>
        let globalRanges: UnsafeMutablePointer<Int32>
        /// Tokens that count.
        let all: UnsafeMutablePointer<Int32>
        var (localCount, globalCount, allCount) = (0, 0, 0)

        init(_ start: UnsafeMutablePointer<Int32>, _ positions: Int) {
            (local, ranges) = (start, start + positions)
            (globals, globalRanges) = (start + 3 * positions, start + 4 * positions)
            all = start + 6 * positions
        }
    }

    private let window: Int
    let sizes: LongformerKernels.Sizes
    let team: ThreadTeam
    let engine: MatmulEngine
    let inputs: [BufferView]
    let output: BufferView
    private let scratch: Allocation
    let shared: ck_attention
    /// State and space of each thread; behind them what few global tokens take.
    let spaces: UnsafeMutablePointer<Float>
    private var lists: [Lists]
    private var pieces: [Piece] = []

    /// Queries of a piece: a multiple of the kernel's lanes.
    private static let pieceSize = 64

    init(_ attention: LongformerAttention, _ sizes: LongformerKernels.Sizes, _ request: KernelRequest) {
        (window, self.sizes, team, engine) = (attention.window, sizes, request.team, request.engine)
        (inputs, output, scratch) = (request.inputs, request.outputs[0], request.scratch)
        let numbers = request.scratch.pointer.assumingMemoryBound(to: Int32.self)
        lists = (0..<sizes.batch).map { Lists(numbers + $0 * sizes.lists, sizes.positions) }
        spaces = UnsafeMutableRawPointer(numbers + LongformerKernels.Sizes.padded(sizes.lists * sizes.batch)).assumingMemoryBound(
            to: Float.self)
        var shared = ck_attention()
        (shared.size, shared.value_size, shared.scale) = (sizes.size, sizes.size, Float(attention.scale))
        let step = sizes.heads * sizes.size
        (shared.query_step, shared.key_step, shared.value_step, shared.output_step) = (step, step, step, step)
        shared.tile = LongformerKernels.Sizes.tile
        self.shared = shared
    }

    func callAsFunction() throws {
        var work = [0]
        pieces.removeAll(keepingCapacity: true)
        for batch in 0..<sizes.batch { list(batch) }
        // Their projections haven't been made then: see `GlobalTokens`.
        let areFew = sizes.few > 0 && lists.allSatisfy { $0.globalCount <= sizes.few }
        for batch in 0..<sizes.batch {
            let row = lists[batch]
            for (isGlobal, count) in [(false, row.localCount), (true, areFew ? 0 : row.globalCount)] {
                // A window takes the same time everywhere, near enough; a global token takes a key at a time.
                let each = isGlobal ? row.allCount : min(2 * window + 1, row.localCount) + row.globalCount
                let size = isGlobal ? Self.globalPieceSize(count) : Self.pieceSize
                for first in stride(from: 0, to: count, by: size) {
                    let last = min(first + size, count)
                    pieces.append(Piece(batch: batch, isGlobal: isGlobal, queries: first..<last))
                    work.append((work.last ?? 0) + (last - first) * each + 64)
                }
            }
        }
        let total = (work.last ?? 0) * sizes.heads
        let attend = ck_math_table().pointee.attention
        team.split(rows: sizes.heads, work: work, isLight: 2 * total * sizes.size < 32 * ThreadTeam.grain) { thread, head, range in
            var a = shared
            a.state = spaces + thread * (sizes.state + sizes.space)
            a.space = a.state + sizes.state
            for piece in pieces[range] {
                place(&a, piece, head: head)
                _ = attend?(&a, piece.queries.lowerBound, piece.queries.upperBound)
            }
        }
        guard areFew else { return }
        for batch in 0..<sizes.batch where lists[batch].globalCount > 0 { try attendFew(batch, lists[batch]) }
    }

    /// Few global tokens are done one by one, whose number per piece doesn't matter; else the lanes of the kernel should be full.
    private static func globalPieceSize(_ count: Int) -> Int { count < 4 ? 1 : pieceSize }

    private func place(_ a: inout ck_attention, _ piece: Piece, head: Int) {
        let row = lists[piece.batch]
        let offset = piece.batch * sizes.positions * a.query_step + head * sizes.size
        let first = piece.isGlobal ? 3 : 0
        (a.query, a.key, a.value) = (
            UnsafePointer(inputs[first].floats + offset), UnsafePointer(inputs[first + 1].floats + offset),
            UnsafePointer(inputs[first + 2].floats + offset)
        )
        a.output = output.floats + offset
        if piece.isGlobal {
            (a.queries, a.keys, a.ranges) = (UnsafePointer(row.globals), UnsafePointer(row.all), UnsafePointer(row.globalRanges))
            a.common_count = 0
        } else {
            (a.queries, a.keys, a.ranges) = (UnsafePointer(row.local), UnsafePointer(row.local), UnsafePointer(row.ranges))
            (a.common, a.common_count) = (UnsafePointer(row.globals), row.globalCount)
        }
    }

    /// Makes a batch row's lists by its masks, and zeros for the tokens that don't count.
    private func list(_ batch: Int) {
        let positions = sizes.positions
        let (counts, isGlobal) = (inputs[6].flags + batch * positions, inputs[7].flags + batch * positions)
        var row = Lists(scratch.pointer.assumingMemoryBound(to: Int32.self) + batch * sizes.lists, positions)
        let width = sizes.heads * sizes.size
        for position in 0..<positions {
            guard counts[position] != 0 else {
                UnsafeMutableBufferPointer(start: output.floats + (batch * positions + position) * width, count: width).update(repeating: 0)
                continue
            }
            row.all[row.allCount] = Int32(position)
            row.allCount += 1
            if isGlobal[position] != 0 {
                row.globals[row.globalCount] = Int32(position)
                row.globalCount += 1
            } else {
                row.local[row.localCount] = Int32(position)
                row.localCount += 1
            }
        }
        // The keys of a window, by two ends that move along.
        var (from, to) = (0, 0)
        for query in 0..<row.localCount {
            let position = Int(row.local[query])
            while Int(row.local[from]) < position - window { from += 1 }
            while to < row.localCount && Int(row.local[to]) <= position + window { to += 1 }
            row.ranges[2 * query] = Int32(from)
            row.ranges[2 * query + 1] = Int32(to)
        }
        for query in 0..<row.globalCount {
            row.globalRanges[2 * query] = 0
            row.globalRanges[2 * query + 1] = Int32(row.allCount)
        }
        lists[batch] = row
    }

    /// Global tokens of the batch row that has most of them.
    static func largestGlobalCount(_ counts: BufferView, _ isGlobal: BufferView) -> Int {
        let positions = counts.shape[1]
        return (0..<counts.shape[0]).reduce(0) { most, batch in
            let (counts, isGlobal) = (counts.flags + batch * positions, isGlobal.flags + batch * positions)
            return max(most, (0..<positions).reduce(0) { $0 + Int(counts[$1] & isGlobal[$1]) })
        }
    }
}
