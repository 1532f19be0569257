import ByteIO
import Glibc
import JSON

/// The repository's fixtures, found from where this file lies.
public enum FixtureFiles {
    public static let folder = splitPath(splitPath(splitPath(#filePath).directory).directory).directory + "/Fixtures"

    public static func path(_ name: String) -> String { "\(folder)/\(name)" }

    public static func bytes(_ name: String) throws -> [UInt8] { try ByteRegion(path: path(name)).bytes() }

    /// Rows of a manifest: an array of objects.
    public static func rows(_ manifest: String) throws -> [JSONObject] {
        try JSONValue.parse(try bytes(manifest)).array?.compactMap(\.object) ?? []
    }

    /// Names of the files in a folder that end in `suffix`, sorted.
    public static func names(in folder: String, suffix: String) -> [String] {
        guard let directory = opendir(path(folder)) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name.hasSuffix(suffix) { names.append("\(folder)/\(name)") }
        }
        return names.sorted()
    }
}

/// A path for a file of one test, removed with its owner.
public final class TemporaryPath {
    public let path: String

    public init() throws {
        var template = Array("/tmp/ingot-test-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw FileError.last(.output, path: "/tmp", doing: "can't create a file") }
        close(descriptor)
        path = template.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    deinit { unlink(path) }

    /// What `write` puts into a file here.
    public func bytes(writing write: (OutputFile) throws -> Void) throws -> [UInt8] {
        let output = try OutputFile(target: path, replacesExisting: true)
        try write(output)
        try output.commit()
        return try ByteRegion(path: path).bytes()
    }
}

/// `bytes` with one to four bytes changed, seeded.
public func damaged(_ bytes: [UInt8], seed: UInt64) -> [UInt8] {
    guard !bytes.isEmpty else { return bytes }
    var numbers = SplitMix(seed: seed)
    var result = bytes
    for _ in 0..<Int.random(in: 1...4, using: &numbers) {
        let position = Int.random(in: 0..<bytes.count, using: &numbers)
        // Extreme values break more than arbitrary ones.
        result[position] = [0, 0xFF, 0x7F, 0x80, UInt8.random(in: 0...255, using: &numbers)].randomElement(using: &numbers) ?? 0
    }
    return result
}
