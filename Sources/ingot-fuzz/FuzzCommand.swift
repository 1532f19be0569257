import ArgumentParser
import ByteIO
import CProcess
import Conversion
import FormatKit
import Glibc
import Synchronization

/// Damages model files, and has each opened, read, inspected, checked and lifted in a process of its own.
@main
struct FuzzCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ingot-fuzz",
        abstract: "Damages model files and reads them.",
        discussion: """
            Each damaged file is read in a child with 1 GB of memory and 2 seconds of processor time. What counts as found: a crash, a hang, more
            memory, and other contents without an error in a format that has checksums. Exit code 1 if anything was found.

            Example:
              ingot-fuzz --count 100000 Fixtures/keras2/*.h5 Fixtures/keras3/*.keras
            """)

    @Argument(help: "Sound model files.")
    var files: [String]

    @Option(help: "Damaged files to read.")
    var count = 1_000

    @Option(help: "Of the first case; the others follow.")
    var seed: UInt64 = 1

    @Option(help: "Memory of a case, in MiB.")
    var megabytes: UInt64 = 1_024

    @Option(help: "Processor time of a case, in seconds.")
    var seconds = 2.0

    @Option(help: "A folder for the damaged files that found something.")
    var save: String?

    @Option(help: "An error's code: files that it refuses are saved too.")
    var keep: String?

    @Flag(help: "Say how each case ended.")
    var verbose = false

    func validate() throws {
        guard count > 0 else { throw ValidationError("--count takes a positive number") }
        guard seconds > 0, seconds < 1e6 else { throw ValidationError("--seconds takes a positive number") }
        guard megabytes > 0, megabytes < 1 << 20 else { throw ValidationError("--megabytes takes a number from 1 to 1048575") }
    }

    func run() throws {
        let scratch = "/tmp/ingot-fuzz-\(getpid())"
        guard mkdir(scratch, 0o700) == 0 else { throw FileError.last(.output, path: scratch, doing: "can't make a folder") }
        defer { rmdir(scratch) }
        var samples: [Sample] = []
        for path in files { samples.append(try Sample(path)) }
        let contents = samples.map(\.bytes)
        var tally = Tally()
        for number in 0..<UInt64(count) {
            let seed = seed &+ number
            let sample = samples[Int(seed % UInt64(samples.count))]
            var mutator = Mutator(seed: seed)
            var (bytes, kinds) = mutator.mutate(sample.bytes, others: contents)
            // Every other archive is damaged with true checksums, or the checksums would catch it all.
            let isRepaired = sample.format == "keras" && seed / UInt64(samples.count) % 2 == 0
            if isRepaired { bytes = withTrueChecksums(bytes) }
            let path = "\(scratch)/case\(sample.ending)"
            try write(bytes, to: path)
            defer { unlink(path) }
            let subject = Case(
                path: path, original: sample.checkpoint, hasChecksums: sample.format == "ingot" || sample.format == "keras" && !isRepaired)
            let ending = Ending(running: subject, memoryByteCount: megabytes << 20, seconds: seconds)
            tally.add(ending, format: sample.format)
            if verbose { print("seed \(seed): \(kinds): \(ending)") }
            if let save, let keep, case .refused(keep) = ending { try write(bytes, to: "\(save)/seed\(seed)\(sample.ending)") }
            guard ending.isFound else { continue }
            print("found: seed \(seed), \(sample.path), \(kinds): \(ending)")
            if let save { try write(bytes, to: "\(save)/seed\(seed)\(sample.ending)") }
        }
        print(tally.text)
        guard tally.foundCount == 0 else { throw ExitCode(1) }
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        guard descriptor >= 0, bytes.withUnsafeBytes({ Glibc.write(descriptor, $0.baseAddress, $0.count) }) == bytes.count else {
            throw FileError.last(.output, path: path, doing: "can't write")
        }
    }
}

/// A sound file.
struct Sample {
    var path: String
    var bytes: [UInt8]
    var format: String
    var checkpoint: Checkpoint
    var ending: String

    init(_ path: String) throws {
        let file = try ModelFile.open(path)
        self.path = path
        bytes = try ByteRegion(path: path).bytes()
        format = file.format.name
        checkpoint = file.checkpoint
        ending = file.format.fileExtensions.first ?? ""
    }
}

/// How a case ended, seen from outside.
enum Ending: CustomStringConvertible {
    case taken
    case refused(String)
    case wrong(String)
    case slow
    case crashed(signal: Int32)
    case exited(code: Int32)

    var isFound: Bool {
        switch self {
        case .taken, .refused: false
        case .wrong, .slow, .crashed, .exited: true
        }
    }

    var description: String {
        switch self {
        case .taken: "taken"
        case .refused(let code): "refused: \(code)"
        case .wrong(let tensor): "wrong: other contents of \(tensor)"
        case .slow: "slow"
        case .crashed(let signal): "crashed: signal \(signal)"
        case .exited(let code): "ended with code \(code)"
        }
    }

    private static let (takenCode, refusedCode, wrongCode): (Int32, Int32, Int32) = (0, 10, 11)

    /// Runs a case in a child. The other thread of this process only waits, so the child may do anything.
    ///
    /// It is forked on a new thread: Swift's mutexes know a thread by a number that they keep, and in the child of a thread that has ever locked
    /// one it would be the parent's, so that a lock which two threads want would never be had.
    init(running subject: Case, memoryByteCount: UInt64, seconds: Double) {
        let ending = Mutex(Ending.exited(code: EX_OSERR))
        HelperThread {
            let found = Ending(forked: subject, memoryByteCount: memoryByteCount, seconds: seconds)
            ending.withLock { $0 = found }
        }?.join()
        self = ending.withLock { $0 }
    }

    private init(forked subject: Case, memoryByteCount: UInt64, seconds: Double) {
        var ends: [Int32] = [-1, -1]
        guard cp_pipe(&ends) == 0 else {
            self = .exited(code: EX_OSERR)
            return
        }
        let child = cp_fork()
        if child == 0 {
            // The wall's limit is for what waits; a busy machine may take long over 2 seconds of work.
            guard cp_confine(memoryByteCount, seconds, 30) == 0 else { _exit(EX_OSERR) }
            Self.runChild(subject, reply: ends[1])
        }
        close(ends[1])
        var buffer = [UInt8](repeating: 0, count: 512)
        var text: [UInt8] = []
        while true {
            let n = read(ends[0], &buffer, buffer.count)
            if n < 0 && errno == EINTR { continue }
            guard n > 0 else { break }
            text += buffer[..<n]
        }
        close(ends[0])
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        let message = String(decoding: text, as: UTF8.self)
        switch (status & 0x7F, status >> 8 & 0xFF) {
        case (0, Self.takenCode): self = .taken
        case (0, Self.refusedCode): self = .refused(message)
        case (0, Self.wrongCode): self = .wrong(message)
        case (0, let code): self = .exited(code: code)
        case (SIGPROF, _), (SIGALRM, _), (SIGXCPU, _): self = .slow
        case (let signal, _): self = .crashed(signal: signal)
        }
    }

    private static func runChild(_ subject: Case, reply: Int32) -> Never {
        let (code, message): (Int32, String) =
            switch subject.outcome() {
            case .taken: (takenCode, "")
            case .refused(let code): (refusedCode, code)
            case .wrong(let tensor): (wrongCode, tensor)
            }
        _ = Array(message.utf8.prefix(400)).withUnsafeBytes { Glibc.write(reply, $0.baseAddress, $0.count) }
        _exit(code)
    }
}

/// What came of all cases.
struct Tally {
    private(set) var foundCount = 0
    private var counts: [String: [String: Int]] = [:]

    mutating func add(_ ending: Ending, format: String) {
        if ending.isFound { foundCount += 1 }
        counts[format, default: [:]]["\(ending)", default: 0] += 1
    }

    var text: String {
        var lines: [String] = []
        for (format, endings) in counts.sorted(by: { $0.key < $1.key }) {
            lines.append("\(format): \(endings.values.reduce(0, +)) cases")
            for (ending, count) in endings.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) { lines.append("  \(count)  \(ending)") }
        }
        return (lines + ["\(foundCount) found"]).joined(separator: "\n")
    }
}
