import ByteIO
import Glibc

/// A directory that lives as long as its owner, and is removed with all that is in it.
public final class TemporaryDirectory {
    public let path: String

    public init() throws {
        var template = Array("/tmp/ingot-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError.last(.output, path: "/tmp", doing: "can't make a directory") }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { Self.remove(path) }

    public func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Names of what is in it, sorted; temporary files of a write included.
    public var names: [String] { Self.entries(path) }

    /// Writes a small file.
    public func write(_ bytes: [UInt8], to name: String) throws -> String {
        let output = try OutputFile(target: file(name), replacesExisting: true)
        try output.append(bytes)
        try output.commit()
        return file(name)
    }

    public func remove(_ name: String) throws {
        guard unlink(file(name)) == 0 else { throw FileError.last(.output, path: file(name), doing: "can't remove") }
    }

    private static func entries(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
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

    private static func remove(_ path: String) {
        chmod(path, 0o700)
        for name in entries(path) {
            let child = "\(path)/\(name)"
            var status = stat()
            if lstat(child, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { remove(child) } else { unlink(child) }
        }
        rmdir(path)
    }
}
