import Glibc
import Synchronization

/// The temporary files and directories of this process, removed also when a signal ends it.
public enum TemporaryFiles {
    private static let slotCount = 1_024
    private static let slotSize = 4_096
    /// Fixed C strings, since a signal handler may neither allocate nor lock. A slot is free while its first byte is 0.
    private nonisolated(unsafe) static let slots: UnsafeMutablePointer<CChar> = {
        let memory = UnsafeMutablePointer<CChar>.allocate(capacity: slotCount * slotSize)
        memory.initialize(repeating: 0, count: slotCount * slotSize)
        return memory
    }()
    private static let lock = Mutex(())

    static func register(_ path: String) {
        lock.withLock { _ in
            guard path.utf8.count < slotSize,
                let free = (0..<slotCount).first(where: { slots[$0 * slotSize] == 0 })
            else { return }
            let slot = slots + free * slotSize
            for (i, byte) in path.utf8.enumerated().reversed() { slot[i] = CChar(bitPattern: byte) }
        }
    }

    static func unregister(_ path: String) {
        lock.withLock { _ in
            for i in 0..<slotCount where slots[i * slotSize] != 0 && String(cString: slots + i * slotSize) == path {
                memset(slots + i * slotSize, 0, slotSize)
            }
        }
    }

    /// Makes SIGINT, SIGTERM, SIGHUP and SIGXFSZ remove the temporary files before they end the process; for command-line programs.
    public static func removeOnSignals() {
        _ = slots
        for signalNumber in [SIGINT, SIGTERM, SIGHUP] {
            signal(signalNumber) { number in
                for i in 0..<TemporaryFiles.slotCount where TemporaryFiles.slots[i * TemporaryFiles.slotSize] != 0 {
                    unlink(TemporaryFiles.slots + i * TemporaryFiles.slotSize)
                }
                // Directories, empty by now.
                for i in 0..<TemporaryFiles.slotCount where TemporaryFiles.slots[i * TemporaryFiles.slotSize] != 0 {
                    rmdir(TemporaryFiles.slots + i * TemporaryFiles.slotSize)
                }
                signal(number, SIG_DFL)
                raise(number)
            }
        }
        // A full quota or `ulimit -f` is then an error of write, reported as one line.
        signal(SIGXFSZ, SIG_IGN)
        signal(SIGPIPE, SIG_DFL)
    }
}
