import ByteIO
import Glibc

/// A built program, `ingot` unless told otherwise, run as a user runs it.
public struct Tool: Sendable {
    public var code: Int32
    public var output: [UInt8]
    public var errors: [UInt8]

    public var text: String { String(decoding: output, as: UTF8.self) }
    public var errorText: String { String(decoding: errors, as: UTF8.self) }

    /// Beside the test bundle, which is the running program or lies in the same folder.
    private static let folders: [String] = {
        var buffer = [CChar](repeating: 0, count: 4_096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let candidates =
            (count > 0 ? [String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)] : []) + CommandLine.arguments
        return candidates.map { splitPath($0).directory }
    }()

    private static func path(_ program: String) -> String? { folders.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 } }

    /// Runs it and waits. Output goes through files: a pipe would have to be drained meanwhile.
    /// - Parameters:
    ///   - folder: the working directory; nil is the fixtures' folder, so that outputs name no machine's paths.
    ///   - memory: bytes of its own that it may have (RLIMIT_DATA: heap, stacks and other private pages that it writes); nil for no bound.
    public static func run(
        _ arguments: [String], in folder: String? = nil, program: String = "ingot", memory: Int? = nil
    ) throws -> Tool {
        guard let path = path(program) else { throw FileError(.input, path: program, message: "is not beside the tests") }
        let scratch = try TemporaryDirectory()
        let (output, errors) = (scratch.file("out"), scratch.file("err"))
        // The shell changes the directory and replaces itself.
        let limit = memory.map { "ulimit -d \($0 / 1_024) && " } ?? ""
        let words = ["/bin/sh", "-c", "\(limit)cd \"$0\" && exec \"$@\"", folder ?? Fixtures.folder, path] + arguments
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        let variables: [String] = ["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "COLUMNS=100", "NO_COLOR=1"]
        var environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
        defer { for pointer in environment { free(pointer) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT, 0o600)
        var process = pid_t()
        guard posix_spawn(&process, "/bin/sh", &actions, nil, &pointers, &environment) == 0 else {
            throw FileError(.input, path: path, message: "can't be run")
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        // A signal counts as 128 and its number, as in a shell.
        let code = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F)
        return Tool(code: code, output: try ByteRegion(path: output).bytes(), errors: try ByteRegion(path: errors).bytes())
    }
}
