import ByteIO
import Glibc

/// The process's memory as Linux counts it.
enum ResidentMemory {
    /// Starts the peak anew; gives the bytes that are resident now, nil where the system doesn't tell.
    static func restart() -> Double? {
        guard let file = fopen("/proc/self/clear_refs", "w") else { return nil }
        let written = fputs("5", file)
        guard fclose(file) == 0, written >= 0 else { return nil }
        return bytes("VmRSS:")
    }

    /// Bytes from there to the peak.
    static func growth(since start: Double?) -> Double? {
        guard let start, let peak = bytes("VmHWM:") else { return nil }
        return max(peak - start, 0)
    }

    private static func bytes(_ key: String) -> Double? {
        guard let file = fopen("/proc/self/status", "r") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = line.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
            guard text.hasPrefix(key) else { continue }
            return text.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Double($0) }.map { $0 * 1024 }
        }
        return nil
    }
}
