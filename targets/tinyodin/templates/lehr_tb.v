// Runs tinyODIN on events: programs it, sends them, and writes down what it emits and the membranes after each step.
//
// Files: program.hex, clear.hex (SPI words), neurons.hex, synapses.hex (what the memories are to hold), events.hex:
//   0xxx  an event of the input bus, 10 bits of address; a time reference (bit 8) waits until the queue is empty
//   4000  the end of a step
//   8000  the begin of a sample: all membranes are set to 0
// Switches: +words=N, +clears=N (lengths of the first two), +rows=N, +neurons=N, +spi: the memories are written over SPI and read back,
// else they are loaded at once.
// It prints PASS, and "full" if the queue ever was. output.hex: addresses as they come out, and after each step `=` and the membranes.
`timescale 1ns / 1ps
module lehr_tb;
    reg CLK = 0, RST = 0, SCK = 0, MOSI = 0, AERIN_REQ = 0, AEROUT_ACK = 0;
    reg [9:0] AERIN_ADDR = 0;
    wire MISO, AERIN_ACK, AEROUT_REQ, SCHED_FULL;
    wire [7:0] AEROUT_ADDR;
    always #2 CLK = ~CLK;

    tinyODIN dut (
        .CLK(CLK), .RST(RST), .SCK(SCK), .MOSI(MOSI), .MISO(MISO),
        .AERIN_ADDR(AERIN_ADDR), .AERIN_REQ(AERIN_REQ), .AERIN_ACK(AERIN_ACK),
        .AEROUT_ADDR(AEROUT_ADDR), .AEROUT_REQ(AEROUT_REQ), .AEROUT_ACK(AEROUT_ACK), .SCHED_FULL(SCHED_FULL)
    );

    reg [39:0] words [0:65535];
    reg [39:0] clears [0:1023];
    reg [31:0] neurons [0:255];
    reg [31:0] synapses [0:8191];
    reg [15:0] event_word;
    integer count, clear_count, neuron_count, row_count, spi, in, out, i, bit_number, quiet, wrong, full, started;

    task send(input [39:0] word);
        for (bit_number = 39; bit_number >= 0; bit_number = bit_number - 1) begin
            MOSI = word[bit_number];
            #10 SCK = 1;
            #10 SCK = 0;
        end
    endtask

    task drain;  // until the queue is empty and everything has come out
        begin
            quiet = 0;
            while (quiet < 8) begin
                @(posedge CLK);
                if (dut.SCHED_EMPTY && dut.controller_0.state == 0 && !dut.AEROUT_CTRL_BUSY && !AEROUT_REQ && !AEROUT_ACK) quiet = quiet + 1;
                else quiet = 0;
            end
        end
    endtask

    task aer(input [9:0] address);
        begin
            AERIN_ADDR = address;
            @(negedge CLK) AERIN_REQ = 1;
            while (!AERIN_ACK) @(negedge CLK);
            AERIN_REQ = 0;
            while (AERIN_ACK) @(negedge CLK);
        end
    endtask

    always @(posedge CLK) begin
        if (AEROUT_REQ && !AEROUT_ACK && started) $fdisplay(out, "%02x", AEROUT_ADDR);
        AEROUT_ACK <= AEROUT_REQ;
        if (SCHED_FULL && started) full = 1;
    end

    task start_sample;
        if (spi) begin
            for (i = 0; i < clear_count; i = i + 1) send(clears[i]);
            #100;
        end else begin
            @(negedge CLK);
            for (i = 0; i < neuron_count; i = i + 1)
                dut.neuron_core_0.neurarray_0.SRAM[i] = {dut.neuron_core_0.neurarray_0.SRAM[i][31:12], 12'b0};
        end
    endtask

    initial begin
        started = 0; full = 0; wrong = 0;
        if (!$value$plusargs("words=%d", count)) count = 0;
        if (!$value$plusargs("clears=%d", clear_count)) clear_count = 0;
        if (!$value$plusargs("neurons=%d", neuron_count)) neuron_count = 0;
        if (!$value$plusargs("rows=%d", row_count)) row_count = 0;
        spi = $test$plusargs("spi");
        $readmemh("program.hex", words, 0, count - 1);
        $readmemh("clear.hex", clears, 0, clear_count - 1);
        $readmemh("neurons.hex", neurons);
        $readmemh("synapses.hex", synapses);
        in = $fopen("events.hex", "r");
        out = $fopen("output.hex", "w");
        #10 RST = 1;
        #100 RST = 0;
        #100;
        for (i = 0; i < count; i = i + 1) if (spi || words[i][37:36] == 0) send(words[i]);  // else the registers alone
        #100 RST = 1;
        #100 RST = 0;
        #100;
        for (i = 0; i < neuron_count; i = i + 1) begin
            if (!spi) dut.neuron_core_0.neurarray_0.SRAM[i] = neurons[i];
            if (dut.neuron_core_0.neurarray_0.SRAM[i] !== neurons[i]) wrong = wrong + 1;
        end
        for (i = 0; i < 8192; i = i + 1) if (i / 32 < row_count && i % 32 < (neuron_count + 7) / 8) begin
            if (!spi) dut.synaptic_core_0.synarray_0.SRAM[i] = synapses[i];
            if (dut.synaptic_core_0.synarray_0.SRAM[i] !== synapses[i]) wrong = wrong + 1;
        end
        started = 1;
        while ($fscanf(in, "%h", event_word) == 1) begin
            if (event_word[15]) start_sample;
            else if (event_word[14]) begin
                drain;
                $fwrite(out, "=");
                for (i = 0; i < neuron_count; i = i + 1) $fwrite(out, " %03x", dut.neuron_core_0.neurarray_0.SRAM[i][11:0]);
                $fwrite(out, "\n");
            end else begin
                if (event_word[8]) drain;
                aer(event_word[9:0]);
            end
        end
        $fclose(out);
        if (full) $display("full");
        if (wrong != 0) $display("%0d words of the memories are not what was sent", wrong);
        else $display("PASS");
        $finish;
    end
endmodule
