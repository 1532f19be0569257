import ByteIO
import JSON
import ModelIR

/// Appends what an operation computes to a graph.
struct KerasOperationLift {
    let title: String
    let generation: Int

    func outputs(
        _ kind: KerasOperationKind, _ inputs: [KerasOperand], in builder: inout KerasBuilder
    ) throws -> [ValueID] {
        let values = try values(inputs, in: &builder)
        guard let x = values.first else { throw kerasError("bad-config", expected: "inputs for \(title)", found: "none") }
        let type = builder.graph.type(of: x)
        let rank = type.shape.rank
        func front(_ axis: Int, _ rank: Int) throws -> Int {
            guard axis >= -rank, axis < rank else { throw GraphError("has no axis \(axis) in an input of rank \(rank)", origin: title) }
            return axis < 0 ? axis + rank : axis
        }
        func all(_ axes: [Int]?) throws -> [Int] { try axes.map { try Set($0.map { try front($0, rank) }).sorted() } ?? Array(0..<rank) }

        switch kind {
        case .binary(let function):
            if function == .divide && builder.graph.type(of: values[0]).dtype.isFloat {
                return [try builder.graph.unary(.floor, builder.graph.binary(.divide, values[0], values[1]))]
            }
            // A mask with itself, as merges of Keras 3 write it down, is the mask.
            if function == .and || function == .or, values[0] == values[1] { return [values[0]] }
            return [try builder.graph.binary(function, values[0], values[1])]
        case .trueDivide: return [try builder.graph.binary(.divide, builder.float(values[0]), builder.float(values[1]))]
        case .squaredDifference:
            let difference = try builder.graph.binary(.subtract, values[0], values[1])
            return [try builder.graph.binary(.multiply, difference, difference)]
        case .compare(let comparison):
            if comparison == .notEqual, inputs.count == 2, case .constant(let value) = inputs[1], let number = ConstantArray(value),
                number.shape.isEmpty
            {
                return [try builder.notEqual(values[0], to: number.values[0])]
            }
            return [try builder.graph.append(.compare(comparison), values)]
        case .select: return [try builder.graph.append(.select, [builder.asMask(values[0]), values[1], values[2]])]
        case .unary(let function):
            let takesAny = [UnaryFunction.negate, .absolute, .sign, .not].contains(function)
            return [try builder.graph.unary(function, takesAny ? x : builder.float(x))]
        case .square: return [try builder.graph.binary(.multiply, x, x)]
        case .activation(let activation): return [try builder.activation(activation, builder.float(x))]
        case .softmax(let axis): return [try builder.graph.append(.composite(.softmax(axis: front(axis, rank))), [builder.float(x)])]
        case .logSoftmax(let axis):
            let axis = try front(axis, rank)
            guard axis != rank - 1 else { return [try builder.activation(.logSoftmax, builder.float(x))] }
            let value = try builder.float(x)
            return [try builder.graph.binary(.subtract, value, builder.logSumExp(value, axes: [axis], keeps: true))]
        case .clip(let low, let high):
            var y = x
            if low > -.infinity { y = try builder.graph.binary(.maximum, y, builder.graph.scalar(low, type.dtype)) }
            if high < .infinity { y = try builder.graph.binary(.minimum, y, builder.graph.scalar(high, type.dtype)) }
            return [y]

        case .reduce(let reduction, let axes, let keeps):
            var value = x
            if reduction == .any || reduction == .all { value = try builder.asMask(x) }
            if reduction == .mean && generation == 3 && !type.dtype.isFloat { value = try builder.float(x) }
            return [try builder.graph.append(.reduce(reduction, axes: all(axes), keepsDimensions: keeps), [value])]
        case .variance(let axes, let keeps): return [try builder.variance(builder.float(x), axes: all(axes), keepsDimensions: keeps)]
        case .deviation(let axes, let keeps):
            return [try builder.graph.unary(.sqrt, builder.variance(builder.float(x), axes: all(axes), keepsDimensions: keeps))]
        case .logSumExp(let axes, let keeps): return [try builder.logSumExp(builder.float(x), axes: all(axes), keeps: keeps)]
        case .norm(let axes, let keeps):
            let squares = try builder.graph.binary(.multiply, builder.float(x), builder.float(x))
            let sum = try builder.graph.append(.reduce(.sum, axes: all(axes), keepsDimensions: keeps), [squares])
            return [try builder.graph.unary(.sqrt, sum)]
        case .argmax(let axis, let keeps, let dtype), .argmin(let axis, let keeps, let dtype):
            var value = x
            if case .argmin = kind { value = try builder.graph.unary(.negate, x) }
            let index = try builder.graph.append(.argmax(axis: front(axis, rank), keepsDimensions: keeps), [value])
            return [dtype == .i32 ? try builder.graph.append(.cast(.i32), [index]) : index]
        case .cumulativeSum(let axis): return [try builder.graph.append(.cumulativeSum(axis: front(axis, rank)), [x])]

        case .getItem(let indices): return [try item(x, indices, in: &builder)]
        case .concat(let axis): return [try builder.graph.append(.concat(axis: front(axis, rank)), values)]
        case .stack(let axis):
            let axis = try front(axis, rank + 1)
            var parts: [ValueID] = []
            for value in values {
                var dims = builder.graph.type(of: value).shape.dims
                guard dims.count == rank else { throw GraphError("stacks values of different ranks", origin: title) }
                dims.insert(1, at: axis)
                parts.append(try builder.graph.append(.reshape(Shape(dims)), [value]))
            }
            return [try builder.graph.append(.concat(axis: axis), parts)]
        case .reshape(let target): return [try builder.graph.append(.reshape(shape(target, of: type.shape)), [x])]
        case .transpose(let axes):
            return [try builder.transposed(x, axes.map { try $0.map { try front($0, rank) } } ?? Array((0..<rank).reversed()))]
        case .swapAxes(let a, let b):
            var order = Array(0..<rank)
            order.swapAt(try front(a, rank), try front(b, rank))
            return [try builder.transposed(x, order)]
        case .expandDimensions(let axes):
            var dims = type.shape.dims
            let total = rank + axes.count
            for axis in try axes.map({ try front($0, total) }).sorted() {
                guard axis <= dims.count else { throw GraphError("has no axis \(axis)", origin: title) }
                dims.insert(1, at: axis)
            }
            return [try builder.graph.append(.reshape(Shape(dims)), [x])]
        case .squeeze(let axes):
            let dropped = try axes.map { Set(try $0.map { try front($0, rank) }) } ?? Set((0..<rank).filter { type.shape.dims[$0] == 1 })
            guard dropped.allSatisfy({ type.shape.dims[$0] == 1 }) else {
                throw GraphError("takes out axes of \(type.shape) that aren't 1", origin: title)
            }
            return [try builder.graph.append(.reshape(Shape((0..<rank).filter { !dropped.contains($0) }.map { type.shape.dims[$0] })), [x])]
        case .cast(let name): return [try cast(x, to: name, in: &builder)]
        case .matmul(let left, let right):
            return [try matmul(builder.float(values[0]), builder.float(values[1]), left, right, in: &builder)]
        case .split(let split, let axis): return try parts(x, split, axis: front(axis, rank), in: &builder)
        case .tile(let counts):
            guard counts.count == rank, counts.allSatisfy({ $0 > 0 && $0 <= 1 << 20 }) else {
                throw GraphError("repeats an input of rank \(rank) by \(counts)", origin: title)
            }
            var y = x
            for (axis, count) in counts.enumerated() where count > 1 {
                guard count <= 4096 else { throw GraphError("repeats by \(counts)", origin: title) }
                y = try builder.graph.append(.concat(axis: axis), Array(repeating: y, count: count))
            }
            return [y]
        case .flip(let axes): return [try builder.graph.append(.reverse(axes: all(axes)), [x])]
        case .repeatElements(let count, let axis):
            guard count > 0 else { throw GraphError("repeats elements \(count) times", origin: title) }
            return [try builder.repeatElements(x, axis: front(axis, rank), count: count)]
        case .pad(let widths, let value): return [try builder.graph.append(.pad(widths, value: value), [x])]
        case .oneHot(let count):
            let ids = type.dtype.isInteger ? x : try builder.graph.append(.cast(.i32), [x])
            let column = try builder.graph.append(.reshape(Shape(type.shape.dims + [1])), [ids])
            let classes = try builder.graph.append(.iota(ValueType(builder.graph.type(of: ids).dtype, [.fixed(count)]), axis: 0), [])
            return [try builder.float(builder.graph.append(.compare(.equal), [column, classes]))]
        case .einsum(let text):
            guard values.count == 2 else { throw UnsupportedError("\(title) has other than two operands, which isn't supported") }
            let equation = try EinsumEquation(text, ranks: values.map { builder.graph.type(of: $0).shape.rank }, title: title)
            return [try builder.einsum(equation, builder.float(values[0]), builder.float(values[1]))]
        case .identity: return [x]
        case .filled(let value):
            return [try builder.graph.append(.broadcast(type.shape), [builder.graph.scalar(value, type.dtype)])]
        }
    }

    /// Tensors, and constants with the dtype of the tensors beside them.
    private func values(_ inputs: [KerasOperand], in builder: inout KerasBuilder) throws -> [ValueID] {
        var arrays: [ConstantArray?] = []
        for input in inputs {
            guard case .constant(let value) = input else {
                arrays.append(nil)
                continue
            }
            guard let array = ConstantArray(value) else {
                throw UnsupportedError("\(title) has the constant \(value.serializedPrefix), which isn't supported")
            }
            arrays.append(array)
        }
        let dtypes = inputs.flatMap(\.tensors).map { builder.type(of: $0).dtype }.filter { $0 != .bool }
        let needsFloat = dtypes.contains(where: \.isFloat) || arrays.contains { $0.map { !$0.isInteger && !$0.isBool } ?? false }
        let isMixed = Set(dtypes).count > 1
        var result: [ValueID] = []
        for (input, array) in zip(inputs, arrays) {
            if let array {
                let dtype = array.isBool ? .bool : needsFloat ? builder.dtype : dtypes.first ?? builder.dtype
                result.append(try builder.constant(array, dtype: dtype))
            } else {
                guard case .tensor(let tensor) = input else { throw UnsupportedError("\(title) takes lists, which isn't supported") }
                let dtype = builder.type(of: tensor).dtype
                // Numbers of one kind: integers beside floats count as floats.
                if dtype != .bool && needsFloat && !dtype.isFloat {
                    result.append(try builder.float(tensor))
                } else if isMixed && !needsFloat && dtype != .bool {
                    result.append(dtype == .i64 ? tensor.value : try builder.graph.append(.cast(.i64), [tensor.value]))
                } else {
                    result.append(tensor.value)
                }
            }
        }
        return result
    }

    private func cast(_ x: ValueID, to name: String, in builder: inout KerasBuilder) throws -> ValueID {
        let dtypes: [String: DType] = [
            "float16": builder.dtype, "bfloat16": builder.dtype, "float32": builder.dtype, "float64": builder.dtype, "int8": .i8,
            "int16": .i16,
            "int32": .i32, "int64": .i64, "uint8": .u8, "uint16": .u16, "uint32": .u32, "bool": .bool,
        ]
        guard let dtype = dtypes[name] else { throw UnsupportedError("\(title) casts to \(name), which isn't supported") }
        if builder.graph.type(of: x).dtype == dtype { return x }
        return try builder.castPosition(x, to: dtype) ?? builder.graph.append(.cast(dtype), [x])
    }

    private func matmul(_ a: ValueID, _ b: ValueID, _ turnsLeft: Bool, _ turnsRight: Bool, in builder: inout KerasBuilder) throws -> ValueID
    {
        func turned(_ x: ValueID, _ turns: Bool) throws -> ValueID {
            let rank = builder.graph.type(of: x).shape.rank
            guard turns, rank >= 2 else { return x }
            return try builder.graph.append(.transpose(Array(0..<rank - 2) + [rank - 1, rank - 2]), [x])
        }
        guard builder.graph.type(of: a).shape.rank >= 2, builder.graph.type(of: b).shape.rank >= 2 else {
            throw UnsupportedError("\(title) multiplies vectors, which isn't supported")
        }
        return try builder.graph.append(.matmul, [turned(a, turnsLeft), turned(b, turnsRight)])
    }

    private func shape(_ target: [Int], of source: Shape) throws -> Shape {
        guard target.allSatisfy({ $0 >= -1 }), target.count(where: { $0 == -1 }) <= 1 else {
            throw UnsupportedError("\(title) reshapes to \(target), which isn't supported")
        }
        let known = target.filter { $0 != -1 }.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
        guard target.contains(-1), known > 0 else { return Shape(fixed: target) }
        // What is open stays as it is where the known sizes fit together.
        let fixed = source.dims.compactMap(\.fixedValue).reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
        let open = Shape(source.dims.filter { $0.fixedValue == nil }).elementCount
        let rest = fixed % known == 0 ? open * .fixed(fixed / known) : source.elementCount.floorDivided(by: known)
        return Shape(target.map { $0 == -1 ? rest : .fixed($0) })
    }

    private func parts(_ x: ValueID, _ split: KerasOperationKind.Split, axis: Int, in builder: inout KerasBuilder) throws -> [ValueID] {
        let dims = builder.graph.type(of: x).shape.dims
        guard let size = dims[axis].fixedValue else { throw UnsupportedError("\(title) splits an open axis, which isn't supported") }
        var bounds: [Int]
        switch split {
        case .equal(let count):
            guard count > 0, count <= 4096, size % count == 0 else { throw GraphError("can't split \(size) into \(count)", origin: title) }
            bounds = (0...count).map { $0 * (size / count) }
        case .at(let positions): bounds = [0] + positions + [size]
        case .sizes(let sizes):
            guard sizes.allSatisfy({ $0 >= -1 }), sizes.count(where: { $0 == -1 }) <= 1, sizes.count <= 4096 else {
                throw GraphError("can't split \(size) into \(sizes)", origin: title)
            }
            let known = sizes.reduce(0) { $0 + max($1, 0) }
            bounds = [0]
            for part in sizes { bounds.append((bounds.last ?? 0) + (part == -1 ? size - known : part)) }
        }
        guard bounds.last == size, zip(bounds, bounds.dropFirst()).allSatisfy({ $0 <= $1 }), bounds.first == 0 else {
            throw GraphError("can't split \(size) at \(bounds)", origin: title)
        }
        return try zip(bounds, bounds.dropFirst()).map { start, end in
            try builder.graph.append(
                .slice(dims.indices.map { $0 == axis ? SliceRange(start, end) : SliceRange() }), [x])
        }
    }

    /// Python's `x[..]`.
    private func item(_ x: ValueID, _ indices: [KerasOperationKind.Index], in builder: inout KerasBuilder) throws -> ValueID {
        let rank = builder.graph.type(of: x).shape.rank
        let taken = indices.count { $0 != .newAxis && $0 != .ellipsis }
        guard taken <= rank, indices.count(where: { $0 == .ellipsis }) <= 1 else {
            throw GraphError("has \(taken) indices for an input of rank \(rank)", origin: title)
        }
        var entries = indices
        let full = Array(repeating: KerasOperationKind.Index.slice(start: nil, stop: nil, step: nil), count: rank - taken)
        if let position = entries.firstIndex(of: .ellipsis) {
            entries.replaceSubrange(position...position, with: full)
        } else {
            entries += full
        }
        var value = x
        var axis = 0
        /// Axes of the result: nil is a new one.
        var kept: [Int?] = []
        var ranges: [SliceRange] = []
        var reversed: [Int] = []
        for entry in entries {
            let size = axis < rank ? builder.graph.type(of: x).shape.dims[axis].fixedValue : nil
            switch entry {
            case .newAxis:
                kept.append(nil)
                continue
            case .ellipsis: continue
            case .at(let index):
                if let size, index >= size || index < -size {
                    throw GraphError("takes element \(index) of an axis of \(size)", origin: title)
                }
                // The last elements of an open axis are counted from its end, others are picked.
                ranges.append(
                    index < 0 ? SliceRange(index, index == -1 ? nil : index + 1) : size != nil ? SliceRange(index, index + 1) : SliceRange()
                )
                if index >= 0 && size == nil {
                    let position = try builder.graph.append(.constant(Literal(.i32, shape: [1], [Double(index)])), [])
                    value = try builder.graph.append(.gather(axis: axis), [value, position])
                }
            case .slice(let start, let stop, let step):
                let step = step ?? 1
                if step < 0 {
                    guard start == nil, stop == nil else {
                        throw UnsupportedError("\(title) walks backwards from within, which isn't supported")
                    }
                    reversed.append(axis)
                    ranges.append(SliceRange(step: -step))
                } else {
                    guard step > 0 else { throw GraphError("has a step of 0", origin: title) }
                    ranges.append(SliceRange(start ?? 0, stop, step: step))
                }
                kept.append(axis)
            }
            axis += 1
        }
        if !reversed.isEmpty { value = try builder.graph.append(.reverse(axes: reversed), [value]) }
        if ranges.contains(where: { $0 != SliceRange() }) { value = try builder.graph.append(.slice(ranges), [value]) }
        let dims = builder.graph.type(of: value).shape.dims
        return try builder.reshaped(value, Shape(kept.map { $0.map { dims[$0] } ?? 1 }))
    }
}

extension KerasBuilder {
    /// A position that was made i32 as another type, from what it was before; nil for other values. The generations count positions in
    /// different integers.
    fileprivate mutating func castPosition(_ x: ValueID, to dtype: DType) throws -> ValueID? {
        guard graph.type(of: x).dtype == .i32, let cast = graph.nodes.last(where: { $0.outputs == [x] }), case .cast = cast.op,
            let source = graph.nodes.last(where: { $0.outputs == cast.inputs }), case .argmax = source.op
        else { return nil }
        return dtype == .i64 ? source.outputs[0] : try graph.append(.cast(dtype), source.outputs)
    }

    mutating func logSumExp(_ x: ValueID, axes: [Int], keeps: Bool) throws -> ValueID {
        let top = try graph.append(.reduce(.maximum, axes: axes, keepsDimensions: true), [x])
        let sum = try graph.append(
            .reduce(.sum, axes: axes, keepsDimensions: true), [graph.unary(.exp, graph.binary(.subtract, x, top))])
        let result = try graph.binary(.add, graph.unary(.log, sum), top)
        guard !keeps else { return result }
        let dims = graph.type(of: result).shape.dims
        return try graph.append(.reshape(Shape(dims.indices.filter { !axes.contains($0) }.map { dims[$0] })), [result])
    }
}
