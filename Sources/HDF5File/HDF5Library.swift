import ByteIO
import CHDF5
import Synchronization

/// The one door to libhdf5: every call goes through `with`, one at a time, with printing and plugins off.
enum HDF5Library {
    private static let lock = Mutex(())

    /// Plugin loading is per process. Left on, an unknown filter would make libhdf5 load code from HDF5_PLUGIN_PATH.
    private static let isPrepared: Bool = {
        H5open() >= 0 && H5PLset_loading_state(0) >= 0 && ch_register_references() >= 0
    }()

    private static let memoryDriverIdentifier = ch_memory_driver()

    /// The driver of files that are laid out in memory; inside `with` only.
    static func memoryDriver() throws -> hid_t {
        guard memoryDriverIdentifier >= 0 else { throw HDF5Error.corrupt("start the driver for files in memory") }
        return memoryDriverIdentifier
    }

    /// Runs `body` while no other thread is inside libhdf5. Not reentrant.
    static func with<R>(_ body: () throws -> R) throws -> R {
        try lock.withLock { _ in
            // libhdf5 keeps the error printer per thread, and threads come and go: silence the one that is here.
            ch_silence()
            guard isPrepared else { throw HDF5Error.corrupt("libhdf5 can't be started") }
            ch_silence()
            return try body()
        }
    }

    /// The library's description of the innermost cause of its last failure, on one line.
    static func lastError() -> String {
        var buffer = [CChar](repeating: 0, count: 512)
        ch_last_error(&buffer, buffer.count)
        let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}

/// A libhdf5 identifier with one owner, closed when that goes out of scope; lives inside `HDF5Library.with` only.
struct HDF5Handle: ~Copyable {
    let id: hid_t

    /// Takes ownership of what a libhdf5 call returned.
    /// - Throws: `FormatError` with the library's reason if the call failed.
    init(_ id: hid_t, _ action: @autoclosure () -> String) throws {
        guard id >= 0 else { throw HDF5Error.corrupt(action()) }
        self.id = id
    }

    /// Closes a file that was written, where closing can fail.
    consuming func closeFile() throws {
        let file = id
        discard self
        try check(H5Fclose(file), "close the file")
    }

    deinit { H5Idec_ref(id) }
}

/// The errors of reading, each with the constraint of Formats/HDF5/SPEC.md that it stands for.
enum HDF5Error {
    static func make(
        _ code: FormatError.Code, _ rule: String, at offset: UInt64? = nil, expected: String? = nil, found: String? = nil
    ) -> FormatError {
        FormatError("hdf5", code, at: offset, rule: rule, expected: expected, found: found)
    }

    /// libhdf5 refused to do `action`; the reason is the library's.
    static func corrupt(_ action: String) -> FormatError {
        let reason = HDF5Library.lastError()
        if reason.contains("truncated file") {
            return make("truncated", "H2", expected: "the size that the superblock tells", found: reason)
        }
        let code: FormatError.Code = reason.contains("checksum") ? "checksum-mismatch" : "corrupt"
        return make(code, "H14", found: reason.isEmpty ? "failure to \(action)" : "failure to \(action): \(reason)")
    }

    static func corrupt(found: String, expected: String? = nil) -> FormatError {
        make("corrupt", "H14", expected: expected, found: found)
    }
}

/// Turns a libhdf5 status into an error.
func check(_ status: herr_t, _ action: @autoclosure () -> String) throws {
    guard status >= 0 else { throw HDF5Error.corrupt(action()) }
}
