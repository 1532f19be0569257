import ModelIR
import Testing

/// What each op makes of its inputs' types; the refusals are in `GraphTextErrorTests` too, with their places.
@Suite struct InferenceTests {
    private static func window(_ padding: Padding, _ stride: Int = 1, _ dilation: Int = 1, groups: Int = 1) -> Op {
        .convolution(Convolution(strides: [stride], dilations: [dilation], padding: padding, groups: groups))
    }

    private static func pool(_ padding: Padding, _ size: Int, _ stride: Int) -> Op {
        .pool(Pool(kind: .average, sizes: [size], strides: [stride], padding: padding))
    }

    static let accepted: [(Op, [ValueType], String)] = [
        (.constant(Literal(.bool, shape: [2, 2], [0, 1, 1, 0])), [], "bool[2, 2]"), (.constant(Literal(.f8e4m3, [0.3])), [], "f8e4m3[]"),
        (.unary(.negate), [i64(batch)], "i64[batch]"), (.unary(.not), [bool()], "bool[]"),
        (.binary(.add), [f32(batch, 1, 3), f32(time, 1)], "f32[batch, time, 3]"), (.binary(.add), [f32(), f32(2)], "f32[2]"),
        (.binary(.multiply), [f32(batch), f32(7)], "f32[7]"), (.binary(.add), [f32(batch), f32(time)], "f32[time]"),
        (.binary(.power), [i64(0), i64(1)], "i64[0]"), (.binary(.or), [bool(2), bool()], "bool[2]"),
        (.compare(.less), [i64(batch, 1), i64(5)], "bool[batch, 5]"), (.compare(.equal), [bool(2), bool(2)], "bool[2]"),
        (.select, [bool(4, 1, 1), i64(batch, 1), i64(3)], "i64[4, batch, 3]"), (.select, [bool(), bool(2), bool(2)], "bool[2]"),
        (.cast(.u8), [bool(batch)], "u8[batch]"), (.reduce(.sum, axes: [0, 2], keepsDimensions: false), [f32(2, batch, 4)], "f32[batch]"),
        (.reduce(.mean, axes: [-1], keepsDimensions: true), [f32(2, batch)], "f32[2, 1]"),
        (.reduce(.all, axes: [0], keepsDimensions: false), [bool(2)], "bool[]"),
        (.reduce(.maximum, axes: [], keepsDimensions: false), [i64(2, 3)], "i64[2, 3]"),
        (.matmul, [f32(2, 3), f32(3, 4)], "f32[2, 4]"), (.matmul, [f32(batch, 1, 2, 3), f32(5, 3, 4)], "f32[batch, 5, 2, 4]"),
        (.matmul, [f32(2, batch), f32(3, 4)], "f32[2, 4]"), (.reshape([6]), [f32(2, 3)], "f32[6]"),
        (.reshape([batch * 3]), [f32(batch, 3)], "f32[(batch * 3)]"), (.reshape([2, 2]), [f32(batch)], "f32[2, 2]"),
        (.reshape([]), [f32(1, 1)], "f32[]"), (.transpose([2, 0, 1]), [f32(2, batch, 4)], "f32[4, 2, batch]"),
        (.transpose([]), [f32()], "f32[]"), (.broadcast([batch, 3]), [f32(1)], "f32[batch, 3]"), (.broadcast([2]), [f32()], "f32[2]"),
        (.slice([SliceRange(1, 8, step: 3)]), [f32(9)], "f32[3]"), (.slice([SliceRange(-2)]), [f32(9)], "f32[2]"),
        (.slice([SliceRange(5, 2)]), [f32(9)], "f32[0]"), (.slice([SliceRange(-100, 100)]), [f32(9)], "f32[9]"),
        (.slice([SliceRange(1)]), [f32(time)], "f32[max((time + -1), 0)]"), (.slice([SliceRange(-1)]), [f32(time)], "f32[1]"),
        (.slice([SliceRange(-1, 0)]), [f32(time)], "f32[0]"), (.slice([SliceRange(-3, -2)]), [f32(time)], "f32[1]"),
        (.slice([SliceRange(2, -3, step: 2)]), [f32(time)], "f32[ceil(max((time + -5), 0) / 2)]"),
        (.slice([SliceRange(step: 2)]), [f32(time)], "f32[ceil(max(time, 0) / 2)]"), (.reverse(axes: [-1]), [f32(2, time)], "f32[2, time]"),
        (.pad([PadWidth(1, 2), PadWidth(0, 0)], value: 0), [f32(3, 4)], "f32[6, 4]"),
        (.pad([PadWidth(-2, -2)], value: 0), [f32(3)], "f32[0]"),
        (.pad([PadWidth(1, 2)], value: 0), [f32(time)], "f32[max((time + 3), 0)]"),
        (.concat(axis: 1), [f32(batch, 2), f32(5, time)], "f32[5, (time + 2)]"), (.concat(axis: -1), [i64(2), i64(3), i64(4)], "i64[9]"),
        (.gather(axis: 0), [f32(100, 8), i64(batch, time)], "f32[batch, time, 8]"), (.gather(axis: 1), [f32(2, 3, 4), i64()], "f32[2, 4]"),
        (.scatter(axis: 0), [f32(9, 2), i64(batch), f32(batch, 2)], "f32[9, 2]"), (.sort(axis: 0), [f32(3)], "f32[3] i64[3]"),
        (.argmax(axis: 1, keepsDimensions: false), [f32(batch, 3, 4)], "i64[batch, 4]"),
        (.argmax(axis: -1, keepsDimensions: true), [f32(batch, 3)], "i64[batch, 1]"), (.cumulativeSum(axis: 0), [i64(3)], "i64[3]"),
        (.iota(i64(batch, 3), axis: 0), [], "i64[batch, 3]"), (window(.valid), [f32(batch, 10, 4), f32(3, 4, 8)], "f32[batch, 8, 8]"),
        (window(.valid, 2), [f32(batch, 10, 4), f32(3, 4, 8)], "f32[batch, 4, 8]"),
        (window(.valid, 1, 4), [f32(1, 10, 4), f32(3, 4, 8)], "f32[1, 2, 8]"),
        (window(.valid), [f32(1, 2, 4), f32(3, 4, 8)], "f32[1, 0, 8]"), (window(.same, 3), [f32(1, 10, 4), f32(3, 4, 8)], "f32[1, 4, 8]"),
        (window(.causal, 2), [f32(1, 10, 4), f32(3, 4, 8)], "f32[1, 5, 8]"),
        (window(.valid, 2), [f32(1, time, 4), f32(3, 4, 8)], "f32[1, ceil(max((time + -2), 0) / 2), 8]"),
        (window(.same, 1, groups: 4), [f32(1, time, 4), f32(3, 1, 8)], "f32[1, time, 8]"),
        (pool(.valid, 2, 2), [f32(batch, 9, 4)], "f32[batch, 4, 4]"), (pool(.same, 2, 2), [f32(batch, 9, 4)], "f32[batch, 5, 4]"),
        (pool(.valid, 2, 2), [f32(1, time, 4)], "f32[1, ceil(max((time + -1), 0) / 2), 4]"),
        (.composite(.activation(.relu)), [f32()], "f32[]"), (.composite(.activation(.glu)), [f32(2, 6)], "f32[2, 3]"),
        (.composite(.activation(.glu)), [f32(2, batch)], "f32[2, floor(batch / 2)]"),
        (.composite(.activation(.glu)), [f32(batch * 4)], "f32[(batch * 2)]"), (.composite(.softmax(axis: 0)), [f32(2)], "f32[2]"),
    ]

    @Test func acceptedTypes() throws {
        for (op, inputs, expected) in Self.accepted {
            let types = try op.inferTypes(inputs).map(\.description).joined(separator: " ")
            #expect(types == expected, "\(op) of \(inputs)")
        }
    }

    static let refused: [(Op, [ValueType], String)] = [
        (.constant(Literal(.f32, shape: [17], Array(repeating: 0, count: 17))), [], "a constant has 17 values for shape [17], at most 16"),
        (.constant(Literal(.f32, shape: [-1, -1], [0])), [], "a constant has 1 values for shape [-1, -1], at most 16"),
        (.constant(Literal(.bool, [2])), [], "2.0 is no bool"), (.constant(Literal(.u8, [256])), [], "256.0 is no u8"),
        (.constant(Literal(.f32, [1])), [f32()], "constant takes 0 inputs, not 1"),
        (.unary(.sqrt), [i64()], "sqrt takes floats, not i64"), (.binary(.add), [bool(), bool()], "add doesn't take bool"),
        (.binary(.and), [f32(), f32()], "and doesn't take f32"), (.binary(.add), [f32(2), f32(3)], "add can't broadcast [2] and [3]"),
        (.compare(.less), [f32(), i64()], "less takes one dtype, not f32[] and i64[]"),
        (.select, [f32(), f32(), f32()], "select's condition is f32, not bool"),
        (.select, [bool(2), f32(3), f32()], "select can't broadcast [2] and [3]"),
        (.reduce(.sum, axes: [0], keepsDimensions: false), [bool(2)], "sum doesn't take bool"),
        (.reduce(.any, axes: [0], keepsDimensions: false), [f32(2)], "any doesn't take f32"),
        (.reduce(.sum, axes: [0, -2], keepsDimensions: false), [f32(2, 3)], "reduce_sum names an axis twice: [0, -2]"),
        (.matmul, [f32(2, 3), ValueType(.f64, [3, 4])], "matmul takes floats of one dtype, not f32[2, 3] and f64[3, 4]"),
        (.matmul, [f32(3), f32(3, 4)], "matmul can't multiply [3] and [3, 4]"),
        (
            .matmul, [f32(2, 1, 3), f32(5, 3, 4)].map { ValueType(.i64, $0.shape) },
            "matmul takes floats of one dtype, not i64[2, 1, 3] and "
        ),
        (.matmul, [f32(2, 1, 3), f32(5, 3, 4)], "matmul can't multiply [2, 1, 3] and [5, 3, 4]"),
        (.reshape([5]), [f32(2, 3)], "reshape can't turn [2, 3] into [5]"),
        (.transpose([0, 0]), [f32(2, 3)], "[0, 0] is no permutation of the axes of [2, 3]"),
        (.broadcast([3]), [f32(1, 3)], "can't broadcast [1, 3] to [3]"), (.broadcast([3]), [f32(2)], "can't broadcast [2] to [3]"),
        (.slice([]), [f32(2)], "slice has 0 ranges for [2]"), (.slice([SliceRange(step: -1)]), [f32(2)], "slice has step -1"),
        (.slice([SliceRange(1, 5)]), [f32(time)], "slice 1:5 of the open dimension time has no simple size"),
        (.reverse(axes: [1]), [f32(2)], "reverse has no axis 1 in [2]"), (.pad([], value: 0), [f32(2)], "pad has 0 widths for [2]"),
        (.concat(axis: 0), [f32(2), i64(2)], "concat can't join f32[2] and i64[2] along axis 0"),
        (.concat(axis: 0), [f32(2, 3), f32(2, 4)], "concat can't join f32[2, 3] and f32[2, 4] along axis 0"),
        (.concat(axis: 0), [f32(2, batch), f32(1, 3), f32(1, 4)], "concat can't join f32[2, batch] and f32[1, 4] along axis 0"),
        (.concat(axis: 0), [f32()], "concat has no axis 0 in []"),
        (.gather(axis: 0), [f32(2), f32(2)], "gather's indices are f32, not integers"),
        (.gather(axis: 0), [f32(2), bool(2)], "gather's indices are bool, not integers"),
        (.scatter(axis: 0), [f32(5), i64(2), f32(3)], "scatter can't put f32[3] at i64[2] into f32[5]"),
        (.sort(axis: 0), [f32()], "sort has no axis 0 in []"),
        (.argmax(axis: 1, keepsDimensions: false), [f32(2)], "argmax has no axis 1 in [2]"),
        (.cumulativeSum(axis: 0), [bool(2)], "cumulative_sum takes numbers, not bool"),
        (.iota(i64(), axis: 0), [], "iota has no axis 0 in []"),
        (window(.valid), [f32(1, 9, 3), f32(3, 4, 8)], "convolution (1 groups) can't apply kernel [3, 4, 8] to [1, 9, 3]"),
        (window(.valid, groups: 3), [f32(1, 9, 12), f32(3, 4, 8)], "convolution (3 groups) can't apply kernel [3, 4, 8] to [1, 9, 12]"),
        (window(.valid, 0), [f32(1, 9, 4), f32(3, 4, 8)], "convolution (1 groups) can't apply kernel [3, 4, 8] to [1, 9, 4]"),
        (window(.valid), [f32(1, 9, 4), f32(batch, 4, 8)], "convolution (1 groups) can't apply kernel [batch, 4, 8] to [1, 9, 4]"),
        (window(.valid), [f32(1, 9, 9, 4), f32(3, 3, 4, 8)], "convolution (1 groups) can't apply kernel [3, 3, 4, 8] to [1, 9, 9, 4]"),
        (pool(.causal, 2, 1), [f32(1, 9, 4)], "can't pool f32[1, 9, 4] by [2]"),
        (pool(.same, 2, 1), [i64(1, 9, 4)], "can't pool i64[1, 9, 4] by [2]"),
        (.composite(.activation(.relu)), [i64(2)], "relu takes floats, not i64"),
        (.composite(.activation(.leakyReLU(negativeSlope: 0.5))), [i64(2)], "leaky_relu(negative_slope=0.5) takes floats, not i64"),
        (.composite(.activation(.softmax)), [f32()], "softmax has no axis -1 in []"),
        (.composite(.activation(.glu)), [f32(3)], "glu can't halve the last axis of [3]"),
        (.composite(.softmax(axis: 1)), [f32(2)], "softmax has no axis 1 in [2]"),
    ]

    @Test func refusedTypes() {
        for (op, inputs, message) in Self.refused {
            let error = #expect(throws: GraphError.self, "\(op) of \(inputs)") { try op.inferTypes(inputs) }
            #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "no error") instead of \(message)")
        }
    }

    @Test func normalizationsAndRecurrences() throws {
        let states: [Recurrence.Cell: String] = [
            .simple: " f32[batch, 4]", .lstm: " f32[batch, 4] f32[batch, 4]", .gru(resetAfter: false): " f32[batch, 4]",
            .gru(resetAfter: true): " f32[batch, 4]",
        ]
        for sample in Samples.normalizations { #expect(try sample.op.inferTypes(sample.inputs) == [sample.inputs[0]]) }
        for sample in Samples.recurrences {
            guard case .composite(.recurrence(let recurrence)) = sample.op else { continue }
            let types = try sample.op.inferTypes(sample.inputs).map(\.description).joined(separator: " ")
            #expect(types == "f32[batch, time, 4]" + states[recurrence.cell, default: ""])
        }
        // One input more or less, or one of a size that can't be.
        for sample in Samples.normalizations + Samples.recurrences {
            #expect(throws: GraphError.self) { try sample.op.inferTypes(Array(sample.inputs.dropLast())) }
            #expect(throws: GraphError.self) { try sample.op.inferTypes(sample.inputs + [f32(4)]) }
            for i in sample.inputs.indices.dropFirst() {
                var inputs = sample.inputs
                let last = inputs[i].shape.rank - 1
                inputs[i].shape.dims[last] = inputs[i].shape.dims[last].fixedValue == nil ? inputs[i].shape.dims[last] : 77
                if inputs != sample.inputs { #expect(throws: GraphError.self) { try sample.op.inferTypes(inputs) } }
                inputs[i].shape.dims.append(1)
                #expect(throws: GraphError.self) { try sample.op.inferTypes(inputs) }
            }
        }
    }

    @Test func messagesOfComposites() {
        func message(_ composite: Composite, _ inputs: [ValueType]) -> String? {
            #expect(throws: GraphError.self) { try Op.composite(composite).inferTypes(inputs) }?.message
        }
        var lstm = Recurrence(
            cell: .lstm, activation: .tanh, recurrentActivation: .sigmoid, hasBias: true, hasMask: true, hasInitialState: false,
            goesBackwards: false, zeroesMaskedOutput: false)
        let good = [f32(batch, time, 3), f32(3, 16), f32(4, 16), f32(16), bool(batch, time)]
        func replacing(_ i: Int, _ type: ValueType) -> [ValueType] {
            var inputs = good
            inputs[i] = type
            return inputs
        }
        #expect(message(.recurrence(lstm), [f32()]) == "lstm takes 5 inputs, not 1")
        #expect(message(.recurrence(lstm), replacing(0, f32(3, 3))) == "lstm takes floats [batch, time, features], not f32[3, 3]")
        #expect(message(.recurrence(lstm), replacing(1, f32(3, 12))) == "lstm's kernel has shape [3, 12], not [3, 16]")
        #expect(message(.recurrence(lstm), replacing(2, f32(4, 12))) == "lstm's recurrent kernel has shape [4, 12], not [4, 16]")
        #expect(
            message(.recurrence(lstm), replacing(2, f32(batch, 16)))
                == "lstm's recurrent kernel has shape [batch, 16], not [units, 4 * units]")
        #expect(message(.recurrence(lstm), replacing(3, f32(2, 16))) == "lstm's bias has shape [2, 16], not [16]")
        #expect(message(.recurrence(lstm), replacing(4, f32(batch, time))) == "lstm's mask is f32, not bool")
        let wide = ValueType(.f64, [16])
        #expect(message(.recurrence(lstm), replacing(3, wide)) == "lstm takes one dtype, not f32[batch, time, 3] and f64[16]")
        lstm.activation = .glu
        #expect(message(.recurrence(lstm), good) == "lstm can't halve its units by glu")
        let norm = LayerNorm(axes: [1], epsilon: 0, hasScale: true, hasOffset: false)
        #expect(message(.layerNorm(norm), [f32(2, 3)]) == "layer_norm takes 2 inputs, not 1")
        #expect(message(.layerNorm(norm), [i64(2, 3), i64(3)]) == "layer_norm takes floats, not i64")
        #expect(message(.layerNorm(norm), [f32(2), f32(3)]) == "layer_norm has no axes [1] in [2]")
        #expect(
            message(.layerNorm(norm), [f32(2, 3), f32(4)]) == "layer_norm's scale and offset have shape [4], not that of axes [1] of [2, 3]"
        )
        #expect(message(.layerNorm(norm), [f32(2, 3), ValueType(.f16, [3])]) == "layer_norm takes one dtype, not f32[2, 3] and f16[3]")
        let batchNorm = BatchNorm(axis: 1, epsilon: 0, hasScale: false, hasOffset: false)
        #expect(message(.batchNorm(batchNorm), [f32(2, 3), f32(4), f32(3)]) == "batch_norm's statistics have shape [4], not [3]")
        #expect(message(.batchNorm(batchNorm), [f32(2), f32(4), f32(3)]) == "batch_norm has no axis 1 in [2]")
    }
}
