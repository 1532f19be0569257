import ByteIO
import Glibc

/// A Python process that runs a model in another runtime each time it is told to: lines in, lines out.
final class Peer {
    let name: String
    private let process: pid_t
    private let toPeer: UnsafeMutablePointer<FILE>
    private let fromPeer: UnsafeMutablePointer<FILE>

    /// nil if that Python doesn't have the runtime.
    /// - Parameter arguments: of the script.
    /// - Throws: `InputError` if it can't be started or says nothing.
    init?(python: String, script: String, arguments: [String]) throws {
        var (toChild, fromChild): ([Int32], [Int32]) = ([0, 0], [0, 0])
        // A later peer must not hold an earlier one's pipes open.
        guard pipe(&toChild) == 0, pipe(&fromChild) == 0, (toChild + fromChild).allSatisfy({ fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }) else {
            throw InputError("no pipe to \(python)")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
        posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
        var words: [UnsafeMutablePointer<CChar>?] = ([python, script] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child: pid_t = 0
        let status = posix_spawnp(&child, python, &actions, nil, &words, environ)
        close(toChild[0])
        close(fromChild[1])
        guard status == 0, let input = fdopen(toChild[1], "w"), let output = fdopen(fromChild[0], "r") else {
            throw InputError("\(python) can't be started")
        }
        (process, toPeer, fromPeer) = (child, input, output)
        // "ready NAME", or "unknown".
        let answer = Self.line(output)
        guard let answer, answer.hasPrefix("ready ") else {
            name = ""
            if answer == "unknown" { return nil }
            throw InputError("\(python) \(script) \(arguments.joined(separator: " ")) gave no answer")
        }
        name = String(answer.dropFirst(6))
    }

    deinit {
        fclose(toPeer)
        fclose(fromPeer)
        var status: Int32 = 0
        waitpid(process, &status, 0)
    }

    private static func line(_ file: UnsafeMutablePointer<FILE>) -> String? {
        var (buffer, capacity): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
        defer { free(buffer) }
        guard getline(&buffer, &capacity, file) > 0, let buffer else { return nil }
        return String(cString: buffer).trimmingSuffix("\n")
    }

    private func ask(_ question: String) throws {
        fputs(question + "\n", toPeer)
        fflush(toPeer)
    }

    /// Milliseconds of one run.
    func time() throws -> Double {
        try ask("run")
        guard let answer = Self.line(fromPeer), let time = Double(answer) else { throw InputError("\(name) stopped") }
        return time
    }

    /// The last run's output.
    func output() throws -> [Float] {
        try ask("output")
        guard let answer = Self.line(fromPeer), let count = Int(answer), count >= 0, count < 1 << 30 else {
            throw InputError("\(name) stopped")
        }
        return try [Float](unsafeUninitializedCapacity: count) { buffer, filled in
            guard fread(buffer.baseAddress, 4, count, fromPeer) == count else { throw InputError("\(name) stopped") }
            filled = count
        }
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> String { hasSuffix(suffix) ? String(dropLast(suffix.count)) : self }
}
