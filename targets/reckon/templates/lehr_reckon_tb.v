// Drives the top level of ReckOn as its host does, and writes down what it holds and what it computes.
//
// The file +stimulus is of 16-bit words, high byte first:
//   00AA            an event of input line AA
//   8000            a tick: the neurons are updated, then take the events since the tick before
//   8001            the last tick of a sample: the chip decides, and forgets its state
//   8002 HHHH LLLL  a word over SPI
//   8003            write the memories and registers down
//   8004 C A H L    put word H L to address A of the memory with code C, in no time, where SPI would take 64 bits and more
//
// The file +output is of 32-bit words in the order of this machine: at each tick but a sample's first the 16 output neurons and then
// all places of neurons, each with its membrane as it is compared with the threshold in the low half, and its spike in bit 16; at the
// last tick, behind these, the label and the clocks in which the chip worked on the sample.
`timescale 1ns/1ps
module lehr_reckon_tb;
    reg clk = 0, rst = 0, sck = 0, mosi = 0, req = 0, sample = 0, tick = 0, decide = 0, ack_out = 0;
    reg [7:0] address = 0;
    wire miso, ack, spi_ready, ready, req_out;
    wire [7:0] label;
    always #1 clk = ~clk;

    reckon chip (
        .CLK_EXT(clk), .CLK_INT_EN(1'b0), .RST(rst), .SCK(sck), .MOSI(mosi), .MISO(miso),
        .AERIN_ADDR(address), .AERIN_REQ(req), .AERIN_ACK(ack), .AERIN_TAR_EN(1'b0),
        .SAMPLE(sample), .TIME_TICK(tick), .TARGET_VALID(1'b0), .INFER_ACC(decide),
        .SPI_RDY(spi_ready), .TIMING_ERROR_RDY(ready), .OUT_REQ(req_out), .OUT_ACK(ack_out), .OUT_DATA(label)
    );

    integer in, out, got, i, bit_number, quiet;
    reg [1023:0] name;
    reg [15:0] word, code, place, high, low;
    reg [31:0] clocks = 0;

    task dump_wide(input [127:0] value);
        $fwrite(out, "%u%u%u%u", value[31:0], value[63:32], value[95:64], value[127:96]);
    endtask

    task spi(input [31:0] value);
        for (bit_number = 31; bit_number >= 0; bit_number = bit_number - 1) begin  // a quarter of the clock, the most that the chip takes
            mosi = value[bit_number];
            #4 sck = 1;
            #4 sck = 0;
        end
    endtask

    task settle;  // the chip has nothing left to do when it is ready for some clocks in a row
        begin
            quiet = 0;
            while (quiet < 8) begin
                @(negedge clk);
                quiet = ready ? quiet + 1 : 0;
            end
        end
    endtask

    initial begin
        if (!$value$plusargs("stimulus=%s", name)) $finish;
        in = $fopen(name, "rb");
        if (!$value$plusargs("output=%s", name)) $finish;
        out = $fopen(name, "wb");
        #4 rst = 1;
        #40 rst = 0;
        #40;
        got = $fread(word, in);
        while (got == 2) begin
            case (word)
                16'h8000: begin
                    sample = 1;
                    #8 tick = 1;
                    #8 tick = 0;
                    settle;
                end
                16'h8001: begin
                    sample = 0;
                    decide = 1;
                    #8 tick = 1;
                    #8 tick = 0;
                    while (!req_out) @(negedge clk);
                    $fwrite(out, "%u%u", {24'd0, label}, clocks);
                    ack_out = 1;
                    while (req_out) @(negedge clk);
                    ack_out = 0;
                    decide = 0;
                    settle;
                    clocks = 0;
                end
                16'h8002: begin
                    got = $fread(high, in);
                    got = $fread(low, in);
                    spi({high, low});
                end
                16'h8004: begin
                    got = $fread(code, in);
                    got = $fread(place, in);
                    got = $fread(high, in);
                    got = $fread(low, in);
                    case (code)
                        1: chip.srnn_0.neurons.SRAM[place[8:2]][32 * place[1:0] +: 32] <= {high, low};
                        3: chip.srnn_0.weights_inp.SRAM[place[13:2]][32 * place[1:0] +: 32] <= {high, low};
                        4: chip.srnn_0.weights_rec.SRAM[place[13:2]][32 * place[1:0] +: 32] <= {high, low};
                        5: chip.srnn_0.weights_out.SRAM[place[10:2]][32 * place[1:0] +: 32] <= {high, low};
                    endcase
                    #1;
                end
                16'h8003: begin
                    #40;
                    for (i = 0; i < 128; i = i + 1) dump_wide(chip.srnn_0.neurons.SRAM[i]);
                    for (i = 0; i < 4096; i = i + 1) dump_wide(chip.srnn_0.weights_inp.SRAM[i]);
                    for (i = 0; i < 4096; i = i + 1) dump_wide(chip.srnn_0.weights_rec.SRAM[i]);
                    for (i = 0; i < 256; i = i + 1) dump_wide(chip.srnn_0.weights_out.SRAM[i]);
                    registers;
                end
                default: begin
                    address = word[7:0];
                    #2 req = 1;
                    while (!ack) @(negedge clk);
                    req = 0;
                    while (ack) @(negedge clk);
                end
            endcase
            got = $fread(word, in);
        end
        $fclose(out);
        $display("PASS");
        $finish;
    end

    task register(input [31:0] address_of, input [31:0] value);
        $fwrite(out, "%u%u", address_of, value);
    endtask

    task registers;
        begin
            register(0, chip.SPI_EN_CONF);
            register(8, chip.SPI_RST_MODE);
            register(9, chip.SPI_DO_EPROP);
            register(10, chip.SPI_LOCAL_TICK);
            register(12, chip.SPI_FP_LOC_WINP);
            register(13, chip.SPI_FP_LOC_WREC);
            register(14, chip.SPI_FP_LOC_WOUT);
            register(19, chip.SPI_REGUL_MODE);
            register(21, chip.SPI_EN_STOCH_ROUND);
            register(23, chip.SPI_TIMING_MODE);
            register(25, chip.SPI_REGRESSION);
            register(30, chip.SPI_SEND_PER_TIMESTEP);
            register(31, chip.SPI_SEND_LABEL_ONLY);
            register(32, chip.SPI_NOISE_EN);
            register(33, chip.SPI_FORCE_TRACES);
            register(65, chip.SPI_ALPHA_CONF[31:0]);
            register(66, chip.SPI_ALPHA_CONF[63:32]);
            register(67, chip.SPI_ALPHA_CONF[95:64]);
            register(68, chip.SPI_ALPHA_CONF[127:96]);
            register(69, chip.SPI_KAPPA);
            register(94, chip.SPI_NUM_INP_NEUR);
            register(95, chip.SPI_NUM_REC_NEUR);
            register(96, chip.SPI_NUM_OUT_NEUR);
        end
    endtask

    // What the chip is about to do at a clock: every membrane is read one clock before it decays.
    always @(negedge clk) begin
        if (chip.srnn_0.state == 4'd1 && chip.srnn_0.nextstate == 4'd2)
            for (i = 0; i < 16; i = i + 1) $fwrite(out, "%u", {16'd0, chip.srnn_0.oneur_u[i]});
        if (chip.srnn_0.state == 4'd2 && chip.srnn_0.neur_step_cnt[0] && chip.srnn_0.neur_step_cnt <= chip.SPI_NUM_REC_NEUR)
            $fwrite(out, "%u%u", {15'd0, chip.srnn_0.neur_u_spk[0], chip.srnn_0.neur_u[0]},
                                 {15'd0, chip.srnn_0.neur_u_spk[1], chip.srnn_0.neur_u[1]});
        if (chip.srnn_0.state != 4'd0 && !(chip.srnn_0.state == 4'd1 && chip.srnn_0.state_evt == 2'd0) && chip.srnn_0.state != 4'd7)
            clocks = clocks + 1;
    end
endmodule
