import ByteIO
import CProcess
import Glibc
import Synchronization

/// Where libhdf5 parses: in a process of its own, since version 1.10.8 crashes or hangs on about 2 % of damaged files.
///
/// A program with one thread forks. One with several, where a fork may find any lock taken, starts a helper that stays, has one thread itself
/// and forks for each file; descriptors travel, so that nothing is opened twice. The helper is the first of these that is there:
///
/// 1. what `useHelper(at:)` named;
/// 2. the running program, if it began with `serveIfAsked()`, as `ingot` does;
/// 3. what the environment variable `INGOT_HELPER` names;
/// 4. an `ingot` in the folder of the running program.
///
/// A program with several threads and no helper parses in its own process, with no more protection than libhdf5 gives.
public enum HDF5Isolation {
    private static let explicitHelper = Mutex<String?>(nil)
    private static let isServing = Atomic<Bool>(false)

    /// First word of a helper's arguments; the second is the version of the protocol.
    static let helperArgument = "__hdf5-index"
    static let protocolVersion = "1"
    /// The helper's end of its socket.
    static let helperSocket: Int32 = 3

    /// Makes this program a helper if another one started it as that; then it does not return. To be called first in main.
    public static func serveIfAsked() {
        isServing.store(true, ordering: .relaxed)
        let arguments = CommandLine.arguments
        guard arguments.count == 3, arguments[1] == helperArgument, arguments[2] == protocolVersion else { return }
        IndexServer.serve(socket: helperSocket)
    }

    /// Names the program that parses for this one; for programs with threads that have no `ingot` beside them.
    public static func useHelper(at path: String) { explicitHelper.withLock { $0 = path } }

    /// The helper to start, or nil.
    static func helperPath() -> String? {
        if let path = explicitHelper.withLock({ $0 }) { return path }
        if isServing.load(ordering: .relaxed) { return "/proc/self/exe" }
        if let variable = getenv("INGOT_HELPER") { return String(cString: variable) }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0, count < buffer.count else { return nil }
        let program = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let candidate = splitPath(program).directory + "/ingot"
        return access(candidate, X_OK) == 0 ? candidate : nil
    }

    /// The index of a file, made in another process if there can be one.
    static func index(of region: ByteRegion, limits: Limits) throws -> HDF5Index {
        let budget = IndexBudget(region: region)
        if cp_thread_count() == 1 { return try forked(region, budget: budget, limits: limits) }
        if let reply = try IndexClient.shared.reply(for: region, budget: budget, limits: limits) {
            return try index(in: reply, budget)
        }
        return try IndexReply(parsing: region, limits: limits).get()
    }

    private static func forked(_ region: ByteRegion, budget: IndexBudget, limits: Limits) throws -> HDF5Index {
        var pipe = Pipe()
        try pipe.open()
        let child = cp_fork()
        guard child >= 0 else {
            pipe.close()
            throw FileError.last(.input, path: region.path, doing: "can't start a process to parse it")
        }
        if child == 0 { IndexWorker.run(region: { region }, budget: budget, limits: limits, reply: pipe.writing) }
        pipe.closeWriting()
        defer { pipe.close() }
        let reply = pipe.readAll(limit: budget.replyByteCount, seconds: budget.wallSeconds + 5)
        // One that has sent too much, or is still at it, has nothing more to say.
        if reply.bytes == nil { kill(child, SIGKILL) }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        return try index(in: Outcome(reply: reply, status: status), budget)
    }

    /// With one decimal.
    private static func seconds(_ value: Double) -> Double { (value * 10).rounded() / 10 }

    /// How a child ended.
    struct Outcome {
        var reply: Pipe.Reading
        /// As `waitpid` gives it.
        var status: Int32
    }

    /// The index in a reply, or why there is none: which bound was met is told apart, since on a busy or paused machine time passes on the
    /// wall alone.
    static func index(in outcome: Outcome, _ budget: IndexBudget) throws -> HDF5Index {
        func timeout(_ found: String) -> FormatError {
            HDF5Error.make("parser-timeout", "H18", expected: "a file that libhdf5 can parse", found: found)
        }
        let signal = outcome.status & 0x7F
        if signal == SIGPROF || signal == SIGXCPU {
            throw timeout("one that it does not finish in \(Self.seconds(budget.processorSeconds)) s of processor time")
        }
        if signal == SIGALRM {
            throw timeout("one that it had not finished after \(Self.seconds(budget.wallSeconds)) s, with processor time left to it")
        }
        let bytes: [UInt8]
        switch outcome.reply {
        case .all(let all): bytes = all
        case .tooLate:
            throw timeout("no answer after \(Self.seconds(budget.wallSeconds + 5)) s, with processor time left to it")
        case .tooMuch:
            throw HDF5Error.make(
                "parser-limit", "H18", expected: "an index of at most \(budget.replyByteCount) bytes, in proportion to the file",
                found: "more")
        }
        guard outcome.status == 0, let reply = try? IndexReply(decoding: bytes) else {
            let how = signal != 0 ? "signal \(signal)" : "exit code \(outcome.status >> 8 & 0xFF)"
            throw HDF5Error.make("parser-crash", "H18", expected: "a file that libhdf5 can parse", found: "one that it crashes on (\(how))")
        }
        return try reply.get()
    }
}

/// Two ends of a pipe.
struct Pipe {
    /// What came through it.
    enum Reading: Hashable {
        /// Everything until the other end was closed.
        case all([UInt8])
        /// More than the limit.
        case tooMuch
        /// The other end was still open at the deadline.
        case tooLate

        var bytes: [UInt8]? { if case .all(let bytes) = self { bytes } else { nil } }
    }

    private(set) var reading: Int32 = -1
    private(set) var writing: Int32 = -1

    mutating func open() throws {
        var ends: [Int32] = [-1, -1]
        guard cp_pipe(&ends) == 0 else { throw FileError.last(.input, path: "pipe", doing: "can't open") }
        (reading, writing) = (ends[0], ends[1])
    }

    mutating func closeWriting() {
        if writing >= 0 { Glibc.close(writing) }
        writing = -1
    }

    mutating func close() {
        closeWriting()
        if reading >= 0 { Glibc.close(reading) }
        reading = -1
    }

    /// Everything until the other end is closed, up to `limit` bytes and for `seconds`.
    func readAll(limit: Int, seconds: Double) -> Reading {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(seconds)
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let left = (deadline - clock.now).components.seconds
            var descriptor = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
            let ready = poll(&descriptor, 1, Int32(clamping: max(0, left) * 1_000))
            if ready < 0 && errno == EINTR { continue }
            guard ready > 0 else { return .tooLate }
            let count = read(reading, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return .all(result) }
            guard count <= limit - result.count else { return .tooMuch }
            result += buffer[..<count]
        }
    }
}
