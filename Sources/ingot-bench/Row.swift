import JSON

/// What was measured of one workload.
struct Row {
    struct PeerResult {
        var name: String
        /// Milliseconds, ascending.
        var times: [Double]
        /// Largest difference of an output's element to ours; nil where shapes differ.
        var difference: Double?
    }

    var workload: String
    /// Milliseconds, ascending.
    var times: [Double]
    var operations: Double
    var bytes: Double
    /// Operations per second of large matmuls, and bytes per second from memory.
    var (ceiling, bandwidth): (Double, Double)
    var peers: [PeerResult]

    /// Of the ceiling and of the bandwidth, by the median.
    private var shares: (operations: Double, bytes: Double) {
        let seconds = Self.median(times) / 1_000
        return (operations / seconds / ceiling, bytes / seconds / bandwidth)
    }

    static func median(_ sorted: [Double]) -> Double { sorted[sorted.count / 2] }

    static func difference(_ a: [Float], _ b: [Float]) -> Double? {
        guard a.count == b.count else { return nil }
        return zip(a, b).reduce(0.0) { max($0, Double(abs($1.0 - $1.1))) }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    static func decimal(_ value: Double, _ digits: Int = 2) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        return "\((value * scale).rounded() / scale)"
    }

    static func header(peers: [String]) -> String {
        padded("workload", 28) + padded("minimum ms", 12) + padded("median ms", 12) + padded("GFLOP/s", 10)
            + padded("of matmul", 11) + padded("of memory", 11)
            + (peers.isEmpty ? "" : "ratio to each peer's median")
    }

    var text: String {
        let median = Self.median(times)
        return Self.padded(workload, 28) + Self.padded(Self.decimal(times[0]), 12) + Self.padded(Self.decimal(median), 12)
            + Self.padded(Self.decimal(operations / median / 1e6, 1), 10)
            + Self.padded(Self.decimal(shares.operations), 11) + Self.padded(Self.decimal(shares.bytes), 11)
            + peers.map { peer in
                let other = Self.median(peer.times)
                return "\(Self.decimal(median / other, 3)) of \(peer.name)'s \(Self.decimal(other)) "
                    + "(outputs differ by \(peer.difference.map { "\(Float($0))" } ?? "shape"))"
            }.joined(separator: "; ")
    }

    var document: JSONValue {
        func summary(_ times: [Double]) -> JSONValue { ["min": .double(times[0]), "median": .double(Self.median(times))] }
        return [
            "workload": .string(workload), "ms": summary(times), "operations": .double(operations), "weight_bytes": .double(bytes),
            "share_of_matmul_ceiling": .double(shares.operations), "share_of_memory_bandwidth": .double(shares.bytes),
            "peers": .array(
                peers.map { peer in
                    [
                        "name": .string(peer.name), "ms": summary(peer.times),
                        "ratio": .double(Self.median(times) / Self.median(peer.times)),
                        "largest_difference": peer.difference.map { .double($0) } ?? .null,
                    ]
                }),
        ]
    }
}
