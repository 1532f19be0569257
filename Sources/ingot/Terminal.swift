import ByteIO
import Glibc
import JSON
import Synchronization

/// Results go to standard output, everything else to standard error.
enum Terminal {
    private static let buffer = Mutex<[UInt8]>([])

    /// A line of the result.
    static func output(_ line: String) { raw(escapingControlCharacters(line) + "\n") }

    /// Text that may have several lines, as it is.
    static func raw(_ text: String) {
        let isFull = buffer.withLock { bytes in
            bytes.append(contentsOf: text.utf8)
            return bytes.count > 1 << 16
        }
        if isFull { flush() }
    }

    static func output(_ document: JSONValue) { raw(document.serialized(.pretty) + "\n") }

    /// A line beside the result; not with `--quiet`.
    static func note(_ line: String, _ options: CommonOptions) {
        if !options.quiet { error(line) }
    }

    static func error(_ line: String) { write(Array("ingot: \(escapingControlCharacters(line))\n".utf8), to: 2) }

    static func flush() {
        let bytes = buffer.withLock { bytes in
            defer { bytes = [] }
            return bytes
        }
        write(bytes, to: 1)
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var done = 0
        while done < bytes.count {
            let n = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done) }
            if n < 0 && errno == EINTR { continue }
            guard n > 0 else { return }
            done += n
        }
    }
}

/// A table with columns padded to their widest cell; the last column isn't.
struct TextTable {
    var rows: [[String]]
    /// Columns set to the right.
    var rightAligned: Set<Int> = []

    var lines: [String] {
        let escaped = rows.map { $0.map(escapingControlCharacters) }
        var widths: [Int] = []
        for row in escaped {
            for (i, cell) in row.enumerated() {
                if i == widths.count { widths.append(0) }
                widths[i] = max(widths[i], cell.count)
            }
        }
        return escaped.map { row in
            var line = ""
            for (i, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[i] - cell.count)
                let isLast = i == row.count - 1
                line += rightAligned.contains(i) ? padding + cell : isLast ? cell : cell + padding
                if !isLast { line += "  " }
            }
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }
}

/// `1234567` as `1,234,567`.
func grouped(_ number: Int) -> String {
    var result = ""
    for (i, digit) in String(abs(number)).reversed().enumerated() {
        if i > 0 && i % 3 == 0 { result = "," + result }
        result = String(digit) + result
    }
    return number < 0 ? "-" + result : result
}

/// Bytes in a unit that reads well: `412 B`, `1.3 MB` (powers of 1000).
func byteText(_ count: Int) -> String {
    var value = Double(count)
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 { return unit == "B" ? "\(count) B" : "\(decimal(value, 1)) \(unit)" }
        value /= 1_000
    }
    return "\(decimal(value, 1)) TB"
}

/// A number with a fixed count of decimals.
func decimal(_ value: Double, _ places: Int) -> String {
    guard value.isFinite else { return "\(value)" }
    var buffer = [CChar](repeating: 0, count: 400)
    _ = withVaList([Int32(places), value]) { vsnprintf(&buffer, buffer.count, "%.*f", $0) }
    return buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
}

/// A number with three significant digits, in scientific form where that is shorter.
func shortNumber(_ value: Double) -> String {
    guard value.isFinite else { return "\(value)" }
    var buffer = [CChar](repeating: 0, count: 64)
    _ = withVaList([value]) { vsnprintf(&buffer, buffer.count, "%.3g", $0) }
    return buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
}
