import Dispatch
import Executor
import Glibc
import JSON
import ModelIR
import Synchronization

/// What this machine can do at best, measured in the same run as the rows.
struct Roofline {
    /// Floating-point operations per second of large matmuls with packed weights.
    var operations: [Precision: Double]
    /// Bytes per second of memory that is read from end to end.
    var bandwidth: Double

    static func measure(threads: Int) throws -> Roofline {
        var operations: [Precision: Double] = [:]
        for precision in Precision.allCases { operations[precision] = try matmuls(precision, threads: threads) }
        return Roofline(operations: operations, bandwidth: readRate(threads: threads))
    }

    /// Four matmuls of 512 rows, one after the other, 1024 -> 4096 -> 1024 -> 4096 -> 1024: the best of several passes.
    private static func matmuls(_ precision: Precision, threads: Int) throws -> Double {
        let (rows, sizes) = (512, [1_024, 4_096, 1_024, 4_096, 1_024])
        var graph = Graph(name: "matmuls")
        var value = try graph.addInput("x", ValueType(.f32, Shape(fixed: [rows, sizes[0]])))
        var parameters: [String: Tensor] = [:]
        for (i, (input, output)) in zip(sizes, sizes.dropFirst()).enumerated() {
            let shape = [input, output]
            value = try graph.append(.matmul, [value, graph.addParameter("w\(i)", ValueType(.f32, Shape(fixed: shape)))])
            parameters["w\(i)"] = try BenchTensors.tensor(named: "w\(i)", shape: shape, deviation: 1 / Double(input).squareRoot())
        }
        graph.outputs = [NamedValue("y", value)]
        let inputs = ["x": try BenchTensors.tensor(named: "x", shape: [rows, sizes[0]], deviation: 1)]
        let options = ExecutionOptions(threadCount: threads, isRepeated: true, precision: precision, keepsLayerOutputs: false)
        let plan = try Planner.plan(graph, inputShapes: inputs.mapValues(\.shape), options: options)
        let executor = try Executor(plan: plan, parameters: parameters)
        var best = Double.infinity
        for _ in 0..<8 {
            let start = milliseconds()
            _ = try executor.run(inputs: inputs)
            best = min(best, milliseconds() - start)
        }
        return Double(plan.operations) / best * 1_000
    }

    /// A byte that isn't there, looked for in 256 MiB by all threads: the best of several times.
    private static func readRate(threads: Int) -> Double {
        let size = 256 << 20
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 2 << 20)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        // Shared among threads, which only read.
        nonisolated(unsafe) let bytes = UnsafeRawBufferPointer(memory)
        let found = Atomic(0)
        var best = Double.infinity
        for _ in 0..<8 {
            let start = milliseconds()
            DispatchQueue.concurrentPerform(iterations: threads) { thread in
                let (from, to) = (size * thread / threads, size * (thread + 1) / threads)
                if let base = bytes.baseAddress, memchr(base + from, 1, to - from) != nil { found.add(1, ordering: .relaxed) }
            }
            best = min(best, milliseconds() - start)
        }
        // Asked for, or a compiler might leave the search out.
        guard found.load(ordering: .relaxed) == 0 else { return 0 }
        return Double(size) / best * 1_000
    }

    var text: String {
        let rates = Precision.allCases.map { "\(Row.decimal((operations[$0] ?? 0) / 1e9, 0)) GFLOP/s in \($0.rawValue)" }
        return "large matmuls: \(rates.joined(separator: ", ")); memory: \(Row.decimal(bandwidth / 1e9, 1)) GB/s"
    }

    var document: JSONValue {
        var rates = JSONObject()
        for precision in Precision.allCases { rates[precision.rawValue] = .double(operations[precision] ?? 0) }
        return ["matmul_flops": .object(rates), "memory_bytes_per_second": .double(bandwidth)]
    }
}
