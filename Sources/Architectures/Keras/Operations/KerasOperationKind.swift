import ModelIR

/// What a bare operation computes, whichever framework's name it goes by.
enum KerasOperationKind: Hashable, Sendable {
    /// Arithmetic and logic of two, with broadcasting.
    case binary(BinaryFunction)
    case trueDivide
    case squaredDifference
    case compare(Comparison)
    /// condition, where true, where false
    case select
    case unary(UnaryFunction)
    case square
    case activation(Activation)
    case softmax(axis: Int)
    case logSoftmax(axis: Int)
    case clip(Double, Double)
    /// nil: over all axes.
    case reduce(Reduction, axes: [Int]?, keeps: Bool)
    case variance(axes: [Int]?, keeps: Bool)
    case deviation(axes: [Int]?, keeps: Bool)
    case logSumExp(axes: [Int]?, keeps: Bool)
    /// Euclidean.
    case norm(axes: [Int]?, keeps: Bool)
    /// Positions are i64 or i32.
    case argmax(axis: Int, keeps: Bool, dtype: DType)
    case argmin(axis: Int, keeps: Bool, dtype: DType)
    case cumulativeSum(axis: Int)
    case getItem([Index])
    /// Of a list.
    case concat(axis: Int)
    case stack(axis: Int)
    /// Batch included; one -1 takes what is left.
    case reshape([Int])
    /// nil: all axes reversed.
    case transpose([Int]?)
    case swapAxes(Int, Int)
    case expandDimensions([Int])
    /// nil: all axes of size 1.
    case squeeze([Int]?)
    case cast(String)
    case matmul(transposesLeft: Bool, transposesRight: Bool)
    case split(Split, axis: Int)
    case tile([Int])
    case flip([Int]?)
    case repeatElements(Int, axis: Int)
    case pad([PadWidth], value: Double)
    case oneHot(Int)
    case einsum(String)
    case identity
    /// The shape of an input, all 0 or all 1.
    case filled(Double)

    enum Split: Hashable, Sendable {
        case equal(Int)
        /// Where parts begin, but the first.
        case at([Int])
        case sizes([Int])
    }

    /// One entry of `x[..]`.
    enum Index: Hashable, Sendable {
        case slice(start: Int?, stop: Int?, step: Int?)
        case at(Int)
        case newAxis
        case ellipsis
    }
}
