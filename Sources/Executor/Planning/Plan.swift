import ModelIR

/// A graph made ready for inputs of given shapes: every size a number, every node checked, memory and work totalled; nothing allocated yet.
public struct Plan: Sendable {
    public let graph: Graph
    public let options: ExecutionOptions
    /// Sizes that the inputs' shapes gave to the graph's symbols.
    public let dimensions: [String: Int]
    /// Bytes of intermediate values (for the reference backend also of the parameters in use) at the fullest moment.
    public let bufferBytes: UInt64
    /// Bytes of all parameters, and of what is computed from them alone, as the backend holds them, mapped files included; 0 for the reference
    /// backend, which reads each parameter when it is needed.
    public let parameterBytes: UInt64
    /// Floating-point operations of one pass, roughly: 2 per multiply-add, 1 per element elsewhere.
    public let operations: UInt64
    let program: ConcreteGraph
    /// For the fast backend.
    let layout: FastLayout?

    /// Shape of a value of `graph`.
    public func shape(of value: ValueID) -> [Int] { program.types[value.index].shape }
}
