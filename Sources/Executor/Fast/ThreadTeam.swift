import COneDNN
import CProcess

/// Our kernels' threads: those of the OpenMP runtime that oneDNN brings. One pool, since idle threads of a second one would spin against it.
struct ThreadTeam: Hashable, Sendable {
    let count: Int

    /// Elements of light work below which waking the team (about 1 microsecond) costs more than it gains.
    static let grain = 16_384

    /// Makes `count` the number of threads of what the calling thread makes and runs in oneDNN: to be called before either.
    func adopt() { on_set_threads(Int32(clamping: count)) }

    private struct Body {
        let run: (Int, Int) -> Void
        /// Where the calling thread was.
        let processor: Int32
    }

    /// Calls `body(thread, threads)` on every thread.
    func run(_ body: (Int, Int) -> Void) {
        guard count > 1 else { return body(0, 1) }
        withoutActuallyEscaping(body) { body in
            withUnsafePointer(to: Body(run: body, processor: cp_processor())) { pointer in
                // @Sendable: a closure that inherits the main actor would trap on another thread.
                on_parallel(
                    { @Sendable context, thread, threads in
                        guard let context else { return }
                        let body = context.assumingMemoryBound(to: Body.self)
                        if thread > 0 { cp_keep_off(body.pointee.processor, threads) }
                        body.pointee.run(Int(thread), Int(threads))
                    }, UnsafeMutableRawPointer(mutating: pointer), UInt32(clamping: count))
            }
        }
    }

    /// Splits 0 ..< n among the threads, in pieces that are multiples of `multiple`; on the calling thread alone if all of it is less work
    /// than `grain`.
    /// - Parameter cost: work per item, in elements of light work.
    func split(_ n: Int, cost: Int = 1, multiple: Int = 1, _ body: (Range<Int>) -> Void) {
        guard n > 0 else { return }
        if count == 1 || n * max(cost, 1) < Self.grain { return body(0..<n) }
        let pieces = (n + multiple - 1) / multiple
        run { thread, threads in
            let lower = pieces * thread / threads * multiple
            let upper = min(n, pieces * (thread + 1) / threads * multiple)
            if lower < upper { body(lower..<upper) }
        }
    }

    /// Splits rows of pieces among the threads, in shares of equal work; rows are cut between pieces.
    /// - Parameters:
    ///   - work: of a row's pieces before each of them, and of all; the same for each row.
    ///   - isLight: whether the calling thread does all of it alone.
    ///   - body: given the thread, a row and some of its pieces.
    func split(rows: Int, work: [Int], isLight: Bool, _ body: (Int, Int, Range<Int>) -> Void) {
        guard let each = work.last, each > 0 else { return }
        func share(_ thread: Int, _ threads: Int) {
            let (from, to) = (each * rows * thread / threads, each * rows * (thread + 1) / threads)
            var row = from / each
            while row * each < to {
                let first = Self.firstIndex(in: work, notBelow: from - row * each)
                let end = min(Self.firstIndex(in: work, notBelow: to - row * each), work.count - 1)
                if first < end { body(thread, row, first..<end) }
                row += 1
            }
        }
        if isLight { share(0, 1) } else { run(share) }
    }

    private static func firstIndex(in sorted: [Int], notBelow value: Int) -> Int {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
