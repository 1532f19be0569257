import ByteIO
import Glibc

/// Text kept under `Fixtures/golden`; `INGOT_RENEW=1` in the environment writes it anew.
public enum Golden {
    public static let isRenewing = getenv("INGOT_RENEW").map { String(cString: $0) == "1" } ?? false

    /// What is wrong with `text`: nil if it is the golden one, or has just become it.
    public static func difference(_ text: String, _ name: String) throws -> String? {
        let path = Fixtures.path("golden/\(name)")
        if isRenewing {
            var folder = Fixtures.folder
            for part in "golden/\(name)".split(separator: "/").dropLast() {
                folder += "/\(part)"
                mkdir(folder, 0o777)
            }
            let output = try OutputFile(target: path, replacesExisting: true)
            try output.append(Array(text.utf8))
            try output.commit()
            return nil
        }
        guard let bytes = try? ByteRegion(path: path).bytes() else { return "golden/\(name) is missing; INGOT_RENEW=1 writes it" }
        let wanted = String(decoding: bytes, as: UTF8.self)
        if wanted == text { return nil }
        let (old, new) = (
            wanted.split(separator: "\n", omittingEmptySubsequences: false), text.split(separator: "\n", omittingEmptySubsequences: false)
        )
        let line = zip(old, new).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(old.count, new.count)
        func shown(_ lines: [Substring]) -> String { lines.indices.contains(line) ? String(lines[line]) : "the end" }
        return "golden/\(name), line \(line + 1): expected `\(shown(old))`, found `\(shown(new))`"
    }
}
