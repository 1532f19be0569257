import Glibc

/// Several files that come into being together or not at all: written into a directory beside their target, which is then put in its place.
///
/// Files of an existing target that Ingot doesn't write stay; of those that it does, none is replaced without leave.
public final class OutputDirectory {
    /// Where the files will be; without a trailing slash.
    public let targetPath: String
    /// Where they are until then.
    public let stagingPath: String
    private let replacesExisting: Bool
    private let existed: Bool
    /// In order of writing.
    private var names: [String] = []
    /// Of the old directory, held by the new one too.
    private var linked: [String] = []
    private var isFinished = false

    /// - Throws: `FileError` of kind `output`.
    public init(target path: String, replacesExisting: Bool) throws {
        var path = path
        while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
        var status = stat()
        existed = stat(path, &status) == 0
        guard !existed || status.st_mode & S_IFMT == S_IFDIR else {
            throw FileError(.output, path: path, message: "is a file, not a directory")
        }
        let (parent, name) = splitPath(path)
        // `.` has no sibling of its own name: files then go into a directory inside it.
        let place = name == "." || name == ".." || path == "/" ? path : parent
        var template = Array("\(place)/.ingot-\(getpid())-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw FileError.last(.output, path: path, doing: "can't create a directory beside it") }
        stagingPath = String(cString: made)
        let mask = umask(0)
        umask(mask)
        chmod(stagingPath, 0o777 & ~mask)
        targetPath = path
        self.replacesExisting = replacesExisting
        TemporaryFiles.register(stagingPath)
    }

    /// A file of the directory; the caller commits it before the directory is committed.
    /// - Throws: `FileError` where the target has a file of that name that may not be replaced.
    public func file(_ name: String) throws -> OutputFile {
        try claim(name)
        let file = try OutputFile(target: "\(stagingPath)/\(name)", replacesExisting: false)
        names.append(name)
        TemporaryFiles.register("\(stagingPath)/\(name)")
        return file
    }

    /// Checks that a name may be written.
    private func claim(_ name: String) throws {
        guard !name.isEmpty, !name.contains("/"), name != ".", name != "..", !names.contains(name) else {
            throw FileError(.output, path: targetPath, message: "can't hold a file named '\(name)'")
        }
        guard replacesExisting || !existed || access("\(targetPath)/\(name)", F_OK) != 0 else {
            throw FileError(.output, path: "\(targetPath)/\(name)", message: "exists already; --force replaces it")
        }
    }

    /// Puts the files in place.
    /// - Parameter isStale: whether a file of the old directory is replaced by what is written, though under another name (shards of
    ///   another number); asked only where replacing is allowed.
    public func commit(replacing isStale: (String) -> Bool = { _ in false }) throws {
        for name in names { try claimAgain(name) }
        try synchronize(stagingPath)
        guard existed else {
            guard rename(stagingPath, targetPath) == 0 else {
                throw FileError.last(.output, path: targetPath, doing: "can't put it in place")
            }
            return try finish()
        }
        // What stays of the old directory goes into the new one, then the two change places in one step.
        var subdirectories: [String] = []
        for name in try directoryEntries(targetPath) where !names.contains(name) && !(replacesExisting && isStale(name)) {
            if linkat(AT_FDCWD, "\(targetPath)/\(name)", AT_FDCWD, "\(stagingPath)/\(name)", 0) == 0 {
                linked.append(name)
            } else {
                subdirectories.append(name)
            }
        }
        try synchronize(stagingPath)
        guard exchange(stagingPath, targetPath) else { throw FileError.last(.output, path: targetPath, doing: "can't put it in place") }
        for name in subdirectories { rename("\(stagingPath)/\(name)", "\(targetPath)/\(name)") }
        for name in (try? directoryEntries(stagingPath)) ?? [] { unlink("\(stagingPath)/\(name)") }
        rmdir(stagingPath)
        try finish()
    }

    /// Lets two directories change places, in one step where the system can.
    private func exchange(_ a: String, _ b: String) -> Bool {
        typealias RenameAt2 = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
        let exchanging: UInt32 = 2
        if let symbol = dlsym(nil, "renameat2"), unsafeBitCast(symbol, to: RenameAt2.self)(AT_FDCWD, a, AT_FDCWD, b, exchanging) == 0 {
            return true
        }
        let aside = a + ".old"
        guard rename(b, aside) == 0 else { return false }
        guard rename(a, b) == 0 else {
            rename(aside, b)
            return false
        }
        return rename(aside, a) == 0
    }

    private func claimAgain(_ name: String) throws {
        if !replacesExisting && existed && access("\(targetPath)/\(name)", F_OK) == 0 {
            throw FileError(.output, path: "\(targetPath)/\(name)", message: "exists already; --force replaces it")
        }
    }

    private func finish() throws {
        isFinished = true
        for name in names { TemporaryFiles.unregister("\(stagingPath)/\(name)") }
        TemporaryFiles.unregister(stagingPath)
        try? synchronize(targetPath)
        try? synchronize(splitPath(targetPath).directory)
    }

    private func synchronize(_ path: String) throws {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw FileError.last(.output, path: path, doing: "can't open") }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw FileError.last(.output, path: path, doing: "can't write to disk") }
    }

    deinit {
        guard !isFinished else { return }
        for name in linked { unlink("\(stagingPath)/\(name)") }
        for name in names {
            unlink("\(stagingPath)/\(name)")
            TemporaryFiles.unregister("\(stagingPath)/\(name)")
        }
        rmdir(stagingPath)
        TemporaryFiles.unregister(stagingPath)
    }
}

/// Names in a directory, sorted, without `.` and `..`.
/// - Throws: `FileError` of kind `input`.
public func directoryEntries(_ path: String) throws -> [String] {
    guard let directory = opendir(path) else { throw FileError.last(.input, path: path, doing: "can't list") }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// Whether there is a directory at a path (or behind a symbolic link there).
public func isExistingDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}
