import COneDNN

/// Our kernels' threads: those of the OpenMP runtime that oneDNN brings. One pool, since idle threads of a second one would spin against it.
struct ThreadTeam: Hashable, Sendable {
    let count: Int

    /// Elements of light work below which waking the team (about 1 microsecond) costs more than it gains.
    static let grain = 16_384

    /// Makes `count` the number of threads of what the calling thread makes and runs in oneDNN: to be called before either.
    func adopt() { on_set_threads(Int32(clamping: count)) }

    private struct Body {
        let run: (Int, Int) -> Void
    }

    /// Calls `body(thread, threads)` on every thread.
    func run(_ body: (Int, Int) -> Void) {
        guard count > 1 else { return body(0, 1) }
        withoutActuallyEscaping(body) { body in
            withUnsafePointer(to: Body(run: body)) { pointer in
                // @Sendable: a closure that inherits the main actor would trap on another thread.
                on_parallel(
                    { @Sendable context, thread, threads in
                        guard let context else { return }
                        context.assumingMemoryBound(to: Body.self).pointee.run(Int(thread), Int(threads))
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
}
