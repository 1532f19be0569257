import CProcess
import Glibc
import Synchronization

/// Does `count` pieces of work on several threads and hands the results over one by one, in order, on the calling thread.
///
/// Work runs ahead of the hand-over by a fixed number of slots, so that memory is bounded; the calling thread works too while it waits.
/// The first error in order ends everything and is thrown, so that errors are the same at any number of threads.
/// - Parameters:
///   - slotCount: results that there may be at a time; by default two for each thread and two more. More of them help where pieces differ
///     much in size: a thread that has filled all slots with small ones waits for the large one before them.
///   - beside: done once, on a thread that works on the pieces afterwards, or before them where there is one thread only.
///   - makeSlot: memory for one result; slots are used again and again.
///   - work: called on any thread, at most once at a time for a slot.
///   - consume: called with 0, 1, 2 ... on the calling thread.
public func inOrder<Slot: Sendable>(
    count: Int, threadCount: Int, slotCount: Int? = nil, beside: (@Sendable () throws -> Void)? = nil, makeSlot: () throws -> Slot,
    work: @escaping @Sendable (Int, Slot) throws -> Void,
    consume: (Int, Slot) throws -> Void
) throws {
    let helperCount = min(max(threadCount, 1), count) - 1
    guard helperCount > 0 else {
        try beside?()
        guard count > 0 else { return }
        let slot = try makeSlot()
        for i in 0..<count {
            try work(i, slot)
            try consume(i, slot)
        }
        return
    }
    var slots: [Slot] = []
    for _ in 0..<min(count, max(slotCount ?? 0, 2 * (helperCount + 1) + 2)) { slots.append(try makeSlot()) }
    let queue = OrderedQueue(count: count, slots: slots, beside: beside, work: work)
    let threads = (0..<helperCount).compactMap { _ in HelperThread { queue.help() } }
    func end() {
        queue.cancel()
        for thread in threads { thread.join() }
    }
    do {
        try queue.drain(consume)
    } catch {
        end()
        throw error
    }
    end()
    try queue.finishBeside()
}

/// The state that `inOrder`'s threads share, behind one lock.
private final class OrderedQueue<Slot: Sendable>: @unchecked Sendable {
    private let count: Int
    private let slots: [Slot]
    private let work: @Sendable (Int, Slot) throws -> Void
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    // Guarded by `mutex`. `results[i % slots.count]` is nil until piece i is done.
    private var results: [Result<Void, any Error>?]
    private var nextToStart = 0
    private var consumed = 0
    private var isCancelled = false
    /// nil once a thread has taken it.
    private var beside: (@Sendable () throws -> Void)?
    private var besideResult: Result<Void, any Error> = .success(())

    init(
        count: Int, slots: [Slot], beside: (@Sendable () throws -> Void)?, work: @escaping @Sendable (Int, Slot) throws -> Void
    ) {
        self.count = count
        self.slots = slots
        self.beside = beside
        self.work = work
        results = Array(repeating: nil, count: slots.count)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    private var canStart: Bool { nextToStart < count && nextToStart < consumed + slots.count }

    /// Does the next piece; called and returns with the lock held.
    private func doOne() {
        let i = nextToStart
        nextToStart += 1
        pthread_mutex_unlock(mutex)
        let result = Result { try work(i, slots[i % slots.count]) }
        pthread_mutex_lock(mutex)
        results[i % slots.count] = result
        pthread_cond_broadcast(changed)
    }

    func help() {
        doBeside()
        pthread_mutex_lock(mutex)
        while !isCancelled && nextToStart < count {
            if canStart { doOne() } else { pthread_cond_wait(changed, mutex) }
        }
        pthread_mutex_unlock(mutex)
    }

    private func doBeside() {
        pthread_mutex_lock(mutex)
        let job = isCancelled ? nil : beside
        if job != nil { beside = nil }
        pthread_mutex_unlock(mutex)
        guard let job else { return }
        let result = Result { try job() }
        pthread_mutex_lock(mutex)
        besideResult = result
        pthread_mutex_unlock(mutex)
    }

    /// Called when all helpers have ended; does what none of them took, as where the system gave no thread.
    func finishBeside() throws {
        try beside?()
        try besideResult.get()
    }

    func drain(_ consume: (Int, Slot) throws -> Void) throws {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while consumed < count {
            let slot = consumed % slots.count
            if let result = results[slot] {
                results[slot] = nil
                pthread_mutex_unlock(mutex)
                let outcome = Result {
                    try result.get()
                    try consume(consumed, slots[slot])
                }
                pthread_mutex_lock(mutex)
                try outcome.get()
                consumed += 1
                pthread_cond_broadcast(changed)
            } else if canStart {
                doOne()
            } else {
                pthread_cond_wait(changed, mutex)
            }
        }
    }

    func cancel() {
        pthread_mutex_lock(mutex)
        isCancelled = true
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }
}

/// A thread that is joined before the work that it helps with ends.
package struct HelperThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let thread: pthread_t

    /// - Returns: nil if the system gives no further thread; the calling thread then does more of the work.
    package init?(_ run: @escaping @Sendable () -> Void) {
        let body = Unmanaged.passRetained(Body(run))
        var thread = pthread_t()
        let status = cp_start_thread(
            &thread,
            { argument in
                if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, body.toOpaque())
        guard status == 0 else {
            body.release()
            return nil
        }
        self.thread = thread
    }

    package func join() { pthread_join(thread, nil) }
}

/// Workers that are expensive to make, lent to one thread at a time.
public final class WorkerPool<Worker: AnyObject>: @unchecked Sendable {
    private let make: @Sendable () throws -> Worker
    private let idle = Mutex<[Idle]>([])

    /// A worker is used by one thread at a time: the pool hands each out once until it is back.
    private struct Idle: @unchecked Sendable { let worker: Worker }

    public init(_ make: @escaping @Sendable () throws -> Worker) { self.make = make }

    public func with<R>(_ body: (Worker) throws -> R) throws -> R {
        let worker = try idle.withLock { $0.popLast() }?.worker ?? make()
        defer {
            let returned = Idle(worker: worker)
            idle.withLock { $0.append(returned) }
        }
        return try body(worker)
    }
}

/// Processors that this process may run on.
public func processorCount() -> Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

/// Memory that threads take turns with.
public final class TransferBuffer: @unchecked Sendable {
    public let bytes: UnsafeMutableRawBufferPointer
    public init(byteCount: Int) { bytes = .allocate(byteCount: byteCount, alignment: 64) }
    deinit { bytes.deallocate() }
}
