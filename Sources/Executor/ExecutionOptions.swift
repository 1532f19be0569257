import Glibc

/// Who does the arithmetic of a plan.
public enum Backend: String, CaseIterable, Hashable, Sendable {
    /// f32 throughout, whatever float dtype the graph declares: vendor matmuls and own kernels; what has none goes through the reference kernel.
    case fast
    /// f64 throughout, every composite by its definition: slow, the oracle.
    case reference
}

/// Of the fast backend's matmuls with weights.
public enum Precision: String, CaseIterable, Hashable, Sendable {
    case f32
    /// Weights and what they are multiplied with are rounded to bf16, sums and results stay f32.
    case bf16
}

/// What a plan may use.
public struct ExecutionOptions: Hashable, Sendable {
    public var backend: Backend
    /// Threads of the fast backend; the reference backend uses one. The same number gives the same bits.
    public var threadCount: Int
    /// Bytes of buffers and parameters that a plan may come to; the planner refuses more before anything is allocated.
    public var maxMemory: UInt64
    /// Floating-point operations that a pass may come to. The default takes a processor many hours: no model asks for it, only a damaged or
    /// hostile configuration.
    public var maxOperations = 1e16
    /// Whether the plan will run many times: then weights are packed once when it is prepared, which costs more than one pass gains.
    public var isRepeated: Bool
    public var precision: Precision
    /// Whether every layer's output can be captured; without that more is fused.
    public var keepsLayerOutputs: Bool

    /// - Parameters:
    ///   - threadCount: nil for all processors.
    ///   - maxMemory: nil for half of the machine's memory.
    public init(
        backend: Backend = .fast, threadCount: Int? = nil, maxMemory: UInt64? = nil, isRepeated: Bool = false,
        precision: Precision = .f32, keepsLayerOutputs: Bool = true
    ) {
        self.backend = backend
        self.threadCount = max(1, threadCount ?? Self.processorCount)
        self.maxMemory = maxMemory ?? Self.physicalMemory / 2
        self.isRepeated = isRepeated
        self.precision = precision
        self.keepsLayerOutputs = keepsLayerOutputs
    }

    /// Processors that are online.
    public static var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Bytes of memory of this machine.
    public static var physicalMemory: UInt64 {
        UInt64(max(0, sysconf(Int32(_SC_PHYS_PAGES)))) * UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
    }
}
