use edgehold_policy::workload::testing::Device;
use temp_average::Average;

fn device(celsius: Option<f64>) -> Device<Average> {
    let mut d = Device::new();
    d.input("temp");
    d.output("temp_avg");
    d.property("temperature", celsius);
    d.parameter("window", 2.0);
    d.start();
    d
}

#[test]
fn average_of_inputs() {
    let mut d = device(None);
    d.receive("temp", 20.0).want("temp_avg", 20.0);
    d.receive("temp", 22.0).want("temp_avg", 21.0);
    d.receive("temp", 24.0).want("temp_avg", 23.0);
    d.tick().want_nothing();
}

#[test]
fn average_of_the_sensor() {
    let mut d = device(Some(20.0));
    d.tick().want("temp_avg", 20.0);
    d.property("temperature", Some(23.0));
    d.tick().want("temp_avg", 21.5);
}
