extension Op {
    /// Types of the outputs for inputs of these types.
    /// - Throws: `GraphError` on a definite mismatch; open dimensions are given the benefit of the doubt, and checked when the graph is
    ///   planned.
    public func inferTypes(_ inputs: [ValueType]) throws(GraphError) -> [ValueType] {
        func require(_ count: Int) throws(GraphError) {
            guard inputs.count == count else { throw GraphError("\(name) takes \(count) inputs, not \(inputs.count)") }
        }
        /// Axis in 0 ..< rank of the first input.
        func checked(_ axis: Int, of shape: Shape? = nil) throws(GraphError) -> Int {
            let rank = (shape ?? inputs[0].shape).rank
            guard axis >= -rank, axis < rank else { throw GraphError("\(name) has no axis \(axis) in \(shape ?? inputs[0].shape)") }
            return axis < 0 ? axis + rank : axis
        }
        func broadcast(_ a: ValueType, _ b: ValueType) throws(GraphError) -> Shape {
            guard a.dtype == b.dtype else { throw GraphError("\(name) takes one dtype, not \(a) and \(b)") }
            guard let shape = Shape.broadcast(a.shape, b.shape) else {
                throw GraphError("\(name) can't broadcast \(a.shape) and \(b.shape)")
            }
            return shape
        }

        switch self {
        case .constant(let literal):
            try require(0)
            let shape = Shape(fixed: literal.shape)
            guard literal.shape.allSatisfy({ $0 >= 0 }), shape.elementCount == .fixed(literal.values.count), literal.values.count <= 16
            else {
                throw GraphError("a constant has \(literal.values.count) values for shape \(literal.shape), at most 16")
            }
            if let value = literal.values.first(where: { !literal.dtype.holds($0) }) {
                throw GraphError("\(value) is no \(literal.dtype.rawValue)")
            }
            return [ValueType(literal.dtype, shape)]

        case .unary(let function):
            try require(1)
            switch function {
            case .not:
                guard inputs[0].dtype == .bool else { throw GraphError("not takes bool, not \(inputs[0].dtype.rawValue)") }
            case .negate, .absolute, .sign:
                guard inputs[0].dtype != .bool else { throw GraphError("\(function.rawValue) takes numbers, not bool") }
            case .reciprocal, .sqrt, .rsqrt, .exp, .log, .log1p, .sin, .cos, .tanh, .erf, .floor, .ceil, .round:
                guard inputs[0].dtype.isFloat else {
                    throw GraphError("\(function.rawValue) takes floats, not \(inputs[0].dtype.rawValue)")
                }
            }
            return inputs

        case .binary(let function):
            try require(2)
            let isLogical = function == .and || function == .or
            guard isLogical == (inputs[0].dtype == .bool) else {
                throw GraphError("\(function.rawValue) doesn't take \(inputs[0].dtype.rawValue)")
            }
            return [ValueType(inputs[0].dtype, try broadcast(inputs[0], inputs[1]))]

        case .compare:
            try require(2)
            return [ValueType(.bool, try broadcast(inputs[0], inputs[1]))]

        case .select:
            try require(3)
            guard inputs[0].dtype == .bool else { throw GraphError("select's condition is \(inputs[0].dtype.rawValue), not bool") }
            let values = try broadcast(inputs[1], inputs[2])
            guard let shape = Shape.broadcast(inputs[0].shape, values) else {
                throw GraphError("select can't broadcast \(inputs[0].shape) and \(values)")
            }
            return [ValueType(inputs[1].dtype, shape)]

        case .cast(let dtype):
            try require(1)
            return [ValueType(dtype, inputs[0].shape)]

        case .reduce(let reduction, let axes, let keepsDimensions):
            try require(1)
            let isLogical = reduction == .any || reduction == .all
            guard isLogical == (inputs[0].dtype == .bool) else {
                throw GraphError("\(reduction.rawValue) doesn't take \(inputs[0].dtype.rawValue)")
            }
            var reduced = Set<Int>()
            for axis in axes { reduced.insert(try checked(axis)) }
            guard reduced.count == axes.count else { throw GraphError("\(name) names an axis twice: \(axes)") }
            let dims = inputs[0].shape.dims.enumerated().compactMap { axis, dim in
                reduced.contains(axis) ? (keepsDimensions ? .fixed(1) : nil) : dim
            }
            return [ValueType(inputs[0].dtype, Shape(dims))]

        case .matmul:
            try require(2)
            let (a, b) = (inputs[0], inputs[1])
            guard a.dtype == b.dtype, a.dtype.isFloat else { throw GraphError("matmul takes floats of one dtype, not \(a) and \(b)") }
            guard a.shape.rank >= 2, b.shape.rank >= 2, a.shape[-1].equals(b.shape[-2]) != false,
                let leading = Shape.broadcast(Shape(Array(a.shape.dims.dropLast(2))), Shape(Array(b.shape.dims.dropLast(2))))
            else { throw GraphError("matmul can't multiply \(a.shape) and \(b.shape)") }
            return [ValueType(a.dtype, Shape(leading.dims + [a.shape[-2], b.shape[-1]]))]

        case .reshape(let shape):
            try require(1)
            guard inputs[0].shape.elementCount.equals(shape.elementCount) != false else {
                throw GraphError("reshape can't turn \(inputs[0].shape) into \(shape)")
            }
            return [ValueType(inputs[0].dtype, shape)]

        case .transpose(let permutation):
            try require(1)
            guard permutation.sorted() == Array(0..<inputs[0].shape.rank) else {
                throw GraphError("\(permutation) is no permutation of the axes of \(inputs[0].shape)")
            }
            return [ValueType(inputs[0].dtype, Shape(permutation.map { inputs[0].shape.dims[$0] }))]

        case .broadcast(let shape):
            try require(1)
            guard inputs[0].shape.rank <= shape.rank,
                zip(inputs[0].shape.dims.reversed(), shape.dims.reversed()).allSatisfy({ $0 == .fixed(1) || $0.equals($1) != false })
            else { throw GraphError("can't broadcast \(inputs[0].shape) to \(shape)") }
            return [ValueType(inputs[0].dtype, shape)]

        case .slice(let ranges):
            try require(1)
            guard ranges.count == inputs[0].shape.rank else {
                throw GraphError("slice has \(ranges.count) ranges for \(inputs[0].shape)")
            }
            var dims: [Dim] = []
            for (dim, range) in zip(inputs[0].shape.dims, ranges) {
                guard range.step > 0 else { throw GraphError("slice has step \(range.step)") }
                if let n = dim.fixedValue {
                    dims.append(Dim.fixed(range.bounds(n).count).ceilDivided(by: range.step))
                } else {
                    dims.append(try range.openSize(of: dim))
                }
            }
            return [ValueType(inputs[0].dtype, Shape(dims))]

        case .reverse(let axes):
            try require(1)
            for axis in axes { _ = try checked(axis) }
            return inputs

        case .pad(let widths, _):
            try require(1)
            guard widths.count == inputs[0].shape.rank else { throw GraphError("pad has \(widths.count) widths for \(inputs[0].shape)") }
            let dims = zip(inputs[0].shape.dims, widths).map { ($0 + .fixed($1.before) + .fixed($1.after)).atLeast(0) }
            return [ValueType(inputs[0].dtype, Shape(dims))]

        case .concat(let axis):
            guard let first = inputs.first else { throw GraphError("concat takes at least 1 input") }
            let axis = try checked(axis)
            var shape = first.shape
            for other in inputs.dropFirst() {
                guard other.dtype == first.dtype, other.shape.rank == shape.rank,
                    (0..<shape.rank).allSatisfy({ $0 == axis || shape[$0].equals(other.shape[$0]) != false })
                else { throw GraphError("concat can't join \(first) and \(other) along axis \(axis)") }
                for i in 0..<shape.rank where i != axis && other.shape[i].fixedValue != nil { shape.dims[i] = other.shape[i] }
                shape.dims[axis] = shape.dims[axis] + other.shape.dims[axis]
            }
            return [ValueType(first.dtype, shape)]

        case .gather(let axis):
            try require(2)
            let axis = try checked(axis)
            guard inputs[1].dtype.isInteger else { throw GraphError("gather's indices are \(inputs[1].dtype.rawValue), not integers") }
            let dims = inputs[0].shape.dims
            return [ValueType(inputs[0].dtype, Shape(dims[..<axis] + inputs[1].shape.dims + dims[(axis + 1)...]))]

        case .scatter(let axis):
            try require(3)
            let axis = try checked(axis)
            guard inputs[1].dtype.isInteger, inputs[1].shape.rank == 1, inputs[2].dtype == inputs[0].dtype,
                inputs[2].shape.rank == inputs[0].shape.rank,
                (0..<inputs[0].shape.rank).allSatisfy({
                    inputs[2].shape[$0].equals($0 == axis ? inputs[1].shape[0] : inputs[0].shape[$0]) != false
                })
            else { throw GraphError("scatter can't put \(inputs[2]) at \(inputs[1]) into \(inputs[0])") }
            return [inputs[0]]

        case .sort(let axis):
            try require(1)
            _ = try checked(axis)
            return [inputs[0], ValueType(.i64, inputs[0].shape)]

        case .argmax(let axis, let keepsDimensions):
            try require(1)
            var shape = inputs[0].shape
            let axis = try checked(axis)
            if keepsDimensions { shape.dims[axis] = 1 } else { shape.dims.remove(at: axis) }
            return [ValueType(.i64, shape)]

        case .cumulativeSum(let axis):
            try require(1)
            _ = try checked(axis)
            guard inputs[0].dtype != .bool else { throw GraphError("cumulative_sum takes numbers, not bool") }
            return inputs

        case .iota(let type, let axis):
            try require(0)
            _ = try checked(axis, of: type.shape)
            return [type]

        case .convolution(let convolution):
            try require(2)
            let (x, kernel) = (inputs[0], inputs[1])
            let spatial = convolution.strides.count
            guard x.dtype == kernel.dtype, x.dtype.isFloat else {
                throw GraphError("convolution takes floats of one dtype, not \(x) and \(kernel)")
            }
            guard convolution.dilations.count == spatial, spatial > 0, x.shape.rank == spatial + 2, kernel.shape.rank == spatial + 2,
                let sizes = kernel.shape.fixedSizes, sizes.allSatisfy(Window.sizes.contains), convolution.groups > 0,
                convolution.strides.allSatisfy(Window.sizes.contains), convolution.dilations.allSatisfy(Window.sizes.contains),
                sizes[spatial + 1] % convolution.groups == 0, convolution.padding != .causal || spatial == 1,
                x.shape[-1].equals(.fixed(sizes[spatial]) * .fixed(convolution.groups)) != false
            else { throw GraphError("convolution (\(convolution.groups) groups) can't apply kernel \(kernel.shape) to \(x.shape)") }
            var dims = [x.shape[0]]
            for i in 0..<spatial {
                dims.append(
                    Window.outputSize(
                        x.shape[i + 1], k: sizes[i], s: convolution.strides[i], d: convolution.dilations[i], padding: convolution.padding))
            }
            return [ValueType(x.dtype, Shape(dims + [.fixed(sizes[spatial + 1])]))]

        case .pool(let pool):
            try require(1)
            let spatial = pool.sizes.count
            guard pool.strides.count == spatial, spatial > 0, inputs[0].shape.rank == spatial + 2,
                pool.sizes.allSatisfy(Window.sizes.contains), pool.strides.allSatisfy(Window.sizes.contains), inputs[0].dtype.isFloat,
                pool.padding != .causal
            else { throw GraphError("can't pool \(inputs[0]) by \(pool.sizes)") }
            var dims = [inputs[0].shape[0]]
            for i in 0..<spatial {
                dims.append(Window.outputSize(inputs[0].shape[i + 1], k: pool.sizes[i], s: pool.strides[i], d: 1, padding: pool.padding))
            }
            return [ValueType(inputs[0].dtype, Shape(dims + [inputs[0].shape[-1]]))]

        case .composite(let composite):
            return try composite.inferTypes(inputs)
        }
    }

    /// The op's name in the graph's text form.
    public var name: String {
        switch self {
        case .constant: "constant"
        case .unary(let function): function.rawValue
        case .binary(let function): function.rawValue
        case .compare(let comparison): comparison.rawValue
        case .select: "select"
        case .cast: "cast"
        case .reduce(let reduction, _, _): "reduce_\(reduction.rawValue)"
        case .matmul: "matmul"
        case .reshape: "reshape"
        case .transpose: "transpose"
        case .broadcast: "broadcast"
        case .slice: "slice"
        case .reverse: "reverse"
        case .pad: "pad"
        case .concat: "concat"
        case .gather: "gather"
        case .scatter: "scatter"
        case .sort: "sort"
        case .argmax: "argmax"
        case .cumulativeSum: "cumulative_sum"
        case .iota: "iota"
        case .convolution: "convolution"
        case .pool(let pool): "pool_\(pool.kind.rawValue)"
        case .composite(let composite):
            switch composite {
            case .activation: "activation"
            case .softmax: "softmax"
            case .layerNorm: "layer_norm"
            case .batchNorm: "batch_norm"
            case .recurrence(let recurrence): recurrence.name
            case .attention: "attention"
            case .longformerAttention: "longformer_attention"
            case .lshAttention: "lsh_attention"
            }
        }
    }
}

extension SliceRange {
    /// The range of a dimension of `n` elements, clamped as Python does.
    public func bounds(_ n: Int) -> Range<Int> {
        func clamp(_ i: Int) -> Int { min(max(i < 0 ? i + n : i, 0), n) }
        let lower = clamp(start)
        return lower..<max(lower, end.map(clamp) ?? n)
    }

    /// Size of the range in an open dimension, where a small expression can say it.
    func openSize(of dim: Dim) throws(GraphError) -> Dim {
        if self == SliceRange() { return dim }
        let size: Dim
        switch (start >= 0, end) {
        case (true, nil): size = (dim - start).atLeast(0)
        case (true, let end?) where end < 0: size = ((dim - start) + .fixed(end)).atLeast(0)
        case (false, nil) where start == -1: size = .fixed(1)
        case (_, 0?): size = .fixed(0)
        case (false, let end?) where end < 0 && end - start <= 1: size = .fixed(max(end - start, 0))
        case (true, _), (false, _): throw GraphError("slice \(text) of the open dimension \(dim) has no simple size")
        }
        return size.ceilDivided(by: step)
    }
}
