import CProcess
import Glibc

/// A file that comes into being whole or not at all: written under a temporary name beside its target, then fsynced and renamed.
///
/// Until `commit()` the target is untouched; a file that isn't committed is removed when its owner lets go of it.
public final class OutputFile {
    /// Where the file will be.
    public let targetPath: String
    /// Where it is until then: a sibling of the target, so that renaming is atomic.
    public let temporaryPath: String
    public let fileDescriptor: Int32
    private let replacesExisting: Bool
    private var isFinished = false
    /// Bytes appended so far.
    public private(set) var position: UInt64 = 0
    /// Bytes written since the system was last told to bring them to the disk.
    private var waiting = 0
    private static let waitingLimit = 32 << 20

    /// - Parameter replacesExisting: whether an existing file may be replaced; checked now and again, atomically, by `commit()`.
    /// - Throws: `FileError` of kind `output`.
    public init(target path: String, replacesExisting: Bool) throws {
        var status = stat()
        if lstat(path, &status) == 0 {
            guard replacesExisting else { throw FileError(.output, path: path, message: "exists already; --force replaces it") }
            guard status.st_mode & S_IFMT != S_IFDIR else { throw FileError(.output, path: path, message: "is a directory") }
        }
        let (directory, name) = splitPath(path)
        guard !name.isEmpty else { throw FileError(.output, path: path, message: "names no file") }
        // A long name leaves no room for a suffix; the temporary name only has to be unique.
        var template = Array("\(directory)/.ingot-\(getpid())-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw FileError.last(.output, path: path, doing: "can't create a file beside it") }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        // mkstemp makes the file private; the target gets what the user's mask allows.
        let mask = umask(0)
        umask(mask)
        _ = fchmod(descriptor, 0o666 & ~mask)
        targetPath = path
        temporaryPath = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        fileDescriptor = descriptor
        self.replacesExisting = replacesExisting
        TemporaryFiles.register(temporaryPath)
    }

    /// Appends bytes.
    public func append(_ bytes: UnsafeRawBufferPointer) throws {
        try write(bytes, at: position)
        position += UInt64(bytes.count)
    }

    /// Writes at an absolute offset; does not move `position`.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        var done = 0
        while done < bytes.count {
            let n = pwrite(fileDescriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
            if n < 0 && errno == EINTR { continue }
            guard n > 0 else { throw FileError.last(.output, path: targetPath, doing: "can't write") }
            done += n
        }
        waiting += bytes.count
        if waiting >= Self.waitingLimit {
            // What `commit()` would have to wait for.
            cp_begin_writeback(fileDescriptor)
            waiting = 0
        }
    }

    /// Size of the file as the system sees it, in bytes.
    public func size() throws -> UInt64 {
        var status = stat()
        guard fstat(fileDescriptor, &status) == 0 else { throw FileError.last(.output, path: targetPath, doing: "can't read its size") }
        return UInt64(status.st_size)
    }

    /// Makes the bytes durable and puts the file in place.
    public func commit() throws {
        guard fsync(fileDescriptor) == 0 else { throw FileError.last(.output, path: targetPath, doing: "can't write to disk") }
        var result: Int32
        if replacesExisting {
            result = rename(temporaryPath, targetPath)
        } else {
            // link fails if the target exists by now; rename would replace it.
            result = link(temporaryPath, targetPath)
            if result == 0 {
                unlink(temporaryPath)
            } else if errno == EPERM || errno == ENOTSUP {
                // A file system without hard links: the look beforehand is all there is.
                result = access(targetPath, F_OK) == 0 ? -1 : rename(temporaryPath, targetPath)
            }
        }
        guard result == 0 else {
            if errno == EEXIST { throw FileError(.output, path: targetPath, message: "exists already; --force replaces it") }
            throw FileError.last(.output, path: targetPath, doing: "can't put it in place")
        }
        isFinished = true
        TemporaryFiles.unregister(temporaryPath)
        let directory = open(splitPath(targetPath).directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if directory >= 0 {
            fsync(directory)
            close(directory)
        }
    }

    deinit {
        close(fileDescriptor)
        if !isFinished {
            unlink(temporaryPath)
            TemporaryFiles.unregister(temporaryPath)
        }
    }
}

/// The directory (`.` where there is none) and the last component of a path.
public func splitPath(_ path: String) -> (directory: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    let directory = path[..<slash]
    return (directory.isEmpty ? "/" : String(directory), String(path[path.index(after: slash)...]))
}
