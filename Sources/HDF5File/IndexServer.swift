import ByteIO
import CProcess
import Glibc
import Synchronization

/// A request to the helper; the file's descriptor and the reply's pipe travel beside it.
struct IndexRequest {
    /// Where the HDF5 file lies in the file.
    var offset: Int
    var count: Int
    var limits: Limits

    static let byteCountLimit = 512

    init(offset: Int, count: Int, limits: Limits) {
        self.offset = offset
        self.count = count
        self.limits = limits
    }

    var encoded: [UInt8] {
        var encoder = IndexEncoder()
        encoder.add(offset)
        encoder.add(count)
        encoder.add(limits.objectCount)
        encoder.add(limits.attributeCount)
        encoder.add(limits.nameByteCount)
        encoder.add(limits.documentByteCount)
        encoder.add(limits.metadataByteCount)
        encoder.add(limits.depth)
        encoder.add(limits.rank)
        encoder.add(limits.expansionFloor)
        encoder.add(limits.expansionFactor)
        return encoder.bytes
    }

    init(decoding bytes: [UInt8]) throws(IndexDecoder.Failure) {
        var decoder = IndexDecoder(bytes)
        offset = try decoder.int()
        count = try decoder.int()
        limits = Limits()
        limits.objectCount = try decoder.int()
        limits.attributeCount = try decoder.int()
        limits.nameByteCount = try decoder.int()
        limits.documentByteCount = try decoder.int()
        limits.metadataByteCount = try decoder.int()
        limits.depth = try decoder.int()
        limits.rank = try decoder.int()
        limits.expansionFloor = try decoder.integer()
        limits.expansionFactor = try decoder.integer()
    }
}

/// What the helper adds behind the child's reply once the child is gone: a magic number, and how it ended.
enum IndexTrailer {
    static let magic: [UInt8] = Array("ingot-hdf5-1".utf8)
    static let byteCount = magic.count + 4

    static func encode(status: Int32) -> [UInt8] {
        magic + (0..<4).map { UInt8(truncatingIfNeeded: status >> (8 * $0)) }
    }

    /// The reply before the trailer and the status in it; nil if there is none.
    static func split(_ bytes: [UInt8]) -> HDF5Isolation.Outcome? {
        let start = bytes.count - byteCount
        guard start >= 0, bytes[start..<start + magic.count].elementsEqual(magic) else { return nil }
        let status = (0..<4).reduce(Int32(0)) { $0 | Int32(bytes[start + magic.count + $1]) << Int32(8 * $1) }
        return .init(reply: .all(Array(bytes[..<start])), status: status)
    }
}

/// The helper: a process with one thread that forks for each request.
enum IndexServer {
    static func serve(socket: Int32) -> Never {
        signal(SIGPIPE, SIG_IGN)
        // Started here, so that no child has to.
        try? HDF5Library.with {}
        var buffer = [UInt8](repeating: 0, count: IndexRequest.byteCountLimit)
        while true {
            var (file, reply): (Int32, Int32) = (-1, -1)
            let received = cp_receive_request(socket, &buffer, buffer.count, &file, &reply)
            if received < 0 && errno == EINTR { continue }
            guard received > 0 else { _exit(0) }
            if let request = try? IndexRequest(decoding: Array(buffer[..<received])) {
                answer(request, file: file, reply: reply, socket: socket)
            }
            close(file)
            close(reply)
        }
    }

    private static func answer(_ request: IndexRequest, file: Int32, reply: Int32, socket: Int32) {
        let child = cp_fork()
        if child == 0 {
            close(socket)
            guard let store = try? ByteStore(descriptor: file, path: "file"),
                let region = ByteRegion(store).subregion(offset: UInt64(request.offset), count: UInt64(request.count))
            else { _exit(EX_IOERR) }
            IndexWorker.run(region: { region }, budget: IndexBudget(region: region), limits: request.limits, reply: reply)
        }
        var status = EX_OSERR << 8
        if child > 0 {
            while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        }
        let trailer = IndexTrailer.encode(status: status)
        _ = trailer.withUnsafeBytes { write(reply, $0.baseAddress, $0.count) }
    }
}

/// The other end: starts the helper when it is first needed, and again if it is gone.
final class IndexClient: Sendable {
    static let shared = IndexClient()

    private struct Connection {
        var socket: Int32
        var helper: pid_t
    }

    /// One request at a time; libhdf5's global lock would let no two run side by side either.
    private let connection = Mutex<Connection?>(nil)

    /// - Returns: nil if there is no helper.
    func reply(for region: ByteRegion, budget: IndexBudget, limits: Limits) throws -> HDF5Isolation.Outcome? {
        var copy: Int32 = -1
        defer { if copy >= 0 { close(copy) } }
        var request = IndexRequest(offset: region.offset, count: region.count, limits: limits)
        guard let file = region.store.fileDescriptor ?? Self.memoryFile(region, &copy) else { return nil }
        if copy >= 0 { request.offset = 0 }
        let message = request.encoded
        // Once more if the helper died since it was last asked.
        return try connection.withLock { connection in
            for _ in 0..<2 {
                guard let current = connection ?? Self.start() else { return nil }
                connection = current
                var pipe = Pipe()
                try pipe.open()
                defer { pipe.close() }
                let isSent = message.withUnsafeBytes { cp_send_request(current.socket, $0.baseAddress, $0.count, file, pipe.writing) == 0 }
                pipe.closeWriting()
                let reply = isSent ? pipe.readAll(limit: budget.replyByteCount, seconds: budget.wallSeconds + 5) : .all([])
                if let bytes = reply.bytes, let outcome = IndexTrailer.split(bytes) { return outcome }
                Self.stop(current)
                connection = nil
                if reply.bytes == nil { return .init(reply: reply, status: 0) }
            }
            return nil
        }
    }

    /// Bytes that lie in no file, in one that has no name.
    private static func memoryFile(_ region: ByteRegion, _ descriptor: inout Int32) -> Int32? {
        descriptor = cp_memory_descriptor()
        guard descriptor >= 0 else { return nil }
        let isWritten = region.withBytes { bytes in
            var done = 0
            while done < bytes.count {
                let n = write(descriptor, bytes.baseAddress! + done, bytes.count - done)
                if n < 0 && errno == EINTR { continue }
                guard n > 0 else { return false }
                done += n
            }
            return true
        }
        return isWritten ? descriptor : nil
    }

    private static func start() -> Connection? {
        guard let path = HDF5Isolation.helperPath() else { return nil }
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else { return nil }
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], HDF5Isolation.helperSocket)
        // A group of its own: what the terminal sends to ours is not for it, and all of it can be ended.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
        posix_spawnattr_setpgroup(&attributes, 0)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        let words = ["ingot", HDF5Isolation.helperArgument, HDF5Isolation.protocolVersion]
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var helper: pid_t = 0
        let result = posix_spawn(&helper, path, &actions, &attributes, &pointers, environ)
        close(ends[1])
        guard result == 0, helper > 1 else {
            close(ends[0])
            return nil
        }
        return Connection(socket: ends[0], helper: helper)
    }

    private static func stop(_ connection: Connection) {
        close(connection.socket)
        // The helper leads a group of its own; 0 and 1 would be other people's.
        guard connection.helper > 1 else { return }
        kill(-connection.helper, SIGKILL)
        while waitpid(connection.helper, nil, 0) < 0 && errno == EINTR {}
    }
}
