import Glibc

/// The processors that the calling thread may run on, by what the system says; empty if it says nothing.
public func allowedProcessors() -> Set<Int32> {
    let file = open("/proc/thread-self/status", O_RDONLY)
    defer { close(file) }
    var buffer = [UInt8](repeating: 0, count: 8_192)
    let count = read(file, &buffer, buffer.count)
    let key = "Cpus_allowed_list:\t"
    let lines = String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self).split(separator: "\n")
    guard let line = lines.first(where: { $0.hasPrefix(key) }) else { return [] }
    // As 0-3,6.
    return line.dropFirst(key.count).split(separator: ",").reduce(into: []) { result, part in
        let ends = part.split(separator: "-").compactMap { Int32($0) }
        if let first = ends.first, let last = ends.last, first <= last { result.formUnion(first...last) }
    }
}
